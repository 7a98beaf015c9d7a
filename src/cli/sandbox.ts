/**
 * `ptt sandbox`, which is what `npm start` runs: everything on this machine, with a pretend Internet, and a first message
 * through all of it.
 */

import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { Tools } from '../sandbox/sandbox.ts'
import { formatMailbox } from '../smtp/path.ts'
import { selfSigned } from './authority.ts'
import { initialize } from './init.ts'
import { ownName } from './itself.ts'
import { Supervisor } from './supervise.ts'
import { servicePrograms } from './up.ts'

/** Ctrl-C in a terminal comes to us, and to npm, which hands it on: two signals for one wish. */
const SAME_SIGNAL_MS = 500

interface Options {
  readonly folder: string
  readonly fresh?: boolean
  readonly once?: boolean
  readonly portBase?: number | null
}

export function sandboxCommand(): Command {
  return new Command('sandbox')
    .description('all of it on this machine, with a pretend Internet, to look around')
    .option('--fresh', 'begin anew: new keys, new users, an empty spool')
    .option(
      '--once',
      'end after the first message: with status 0 if it was delivered and its signature verified',
    )
    .option('--port-base <port>', 'use five ports from this one on, not any that are free', port)
    .option('--folder <folder>', 'where everything is kept', '.ptt-sandbox')
    .addHelpText(
      'after',
      `
The folder keeps the CA, the keys, the users and the spool: the next start goes on with them. sandbox.json in it tells
other programs where everything is.

Examples:
  ptt sandbox
  ptt sandbox --fresh --once
  npm start -- --port-base 4650`,
    )
    .action(run)
}

function port(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < 1 || number > 65_531)
    throw new InvalidArgumentError('a number from 1 to 65531.')
  return number
}

async function run({ folder, fresh = false, once = false, portBase = null }: Options): Promise<void> {
  // Loaded only here: what verifies DKIM is large, and the services start from the same program.
  const { startSandbox } = await import('../sandbox/sandbox.ts')
  const { commands } = await import('../sandbox/commands.ts')
  const ending = new AbortController()
  let firstMs = Number.POSITIVE_INFINITY
  const end = () => {
    // The services see that we are gone, and what they had acknowledged is on disk.
    if (performance.now() - firstMs > SAME_SIGNAL_MS) process.exit(1)
    firstMs = Math.min(firstMs, performance.now())
    ending.abort()
  }
  process.on('SIGINT', end).on('SIGTERM', end)
  // Whoever reads it may go away: `npm start | head`.
  process.stdout.on('error', () => {})
  const watch = watchNpm(() => ending.abort())
  const ended = new Promise<null>(resolve => ending.signal.addEventListener('abort', () => resolve(null)))
  try {
    const sandbox = await startSandbox({
      folder: resolve(folder),
      fresh,
      portBase,
      print: console.log,
      live: process.stdout.isTTY === true,
      signal: ending.signal,
      tools: { initialize, selfSigned, supervise },
    })
    try {
      const arrival = await Promise.race([sandbox.sendFirstMessage(), ended])
      if (arrival === null) return
      const { recipient, verdict } = arrival.delivery
      const signature = `dkim=${verdict.dkim} (${verdict.comment || verdict.signingDomain})`
      console.log(`delivered to ${formatMailbox(recipient)}, ${signature}, ${arrival.ms} ms`)
      if (verdict.dkim !== 'pass') throw new Error('the signature of the first message did not verify')
      if (once) return
      console.log(commands(sandbox.file, ownName()))
      await ended
    } finally {
      await sandbox.close()
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error
  } finally {
    if (once && ending.signal.aborted) process.exitCode = 1
    process.off('SIGINT', end).off('SIGTERM', end)
    clearInterval(watch)
  }
}

/** npm runs a script by a shell, and a shell that is told to end does not tell us: we notice that it is gone. */
function watchNpm(gone: () => void): NodeJS.Timeout | undefined {
  if (process.env.npm_lifecycle_event === undefined) return undefined
  const shell = process.ppid
  return setInterval(() => {
    if (process.ppid !== shell) gone()
  }, 500).unref()
}

const supervise: Tools['supervise'] = (file, output, log) =>
  new Supervisor({
    programs: servicePrograms(file).map(program => ({ ...program, output: output(program.name) })),
    log,
  })
