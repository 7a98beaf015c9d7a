/** The relay's spool, opened for a command, also while the relay runs; and what commands print. */

import { loadConfig } from '../config/load.ts'
import { logTo } from '../observe/event.ts'
import { hasSpool, openEmbedded } from '../queue/embedded/embedded.ts'
import type { Queue } from '../queue/queue.ts'
import { print } from './print.ts'

export async function withQueue(
  file: string,
  use: (queue: Queue) => Promise<void>,
  { make = false } = {},
): Promise<void> {
  const { relay } = loadConfig(file)
  if (relay.engine === 'memory') {
    throw new Error(
      'the queue is in the memory of the relay (relay.engine = "memory"): it has no spool on disk',
    )
  }
  if (!make && !hasSpool(relay.spool)) {
    throw new Error(`there is no spool in ${relay.spool}: the relay makes it when it starts (relay.spool)`)
  }
  const queue = await openEmbedded({ folder: relay.spool, log: complaints })
  try {
    await use(queue)
  } finally {
    await queue.close()
  }
}

/** What keeps a command from seeing all there is. */
const complaints = logTo((name, { error }) => {
  if (name === 'alarm') process.stderr.write(`ptt queue: ${error}\n`)
})

export function absent(id: string): string {
  return `no message ${id} in the queue: it was delivered, returned or removed, or it was never here`
}

/** It could not be done for one of several: the others are done, and the status is 1. */
export function complain(text: string): void {
  process.stderr.write(`ptt queue: ${text}\n`)
  process.exitCode = 1
}

/** What was done to one message, as a line. */
export function printDone(id: string, what: string, text: string, json: boolean | undefined): Promise<void> {
  return print(json ? `${JSON.stringify({ id, done: what })}\n` : `${id} ${text}\n`)
}
