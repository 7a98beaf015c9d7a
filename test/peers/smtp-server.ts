/**
 * The `smtp-server` library of npm, in a process of its own: it accepts everything and throws it away. Run as a program
 * it is that process.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { SMTPServer } from 'smtp-server'

export interface DiscardServer {
  readonly port: number
  /** What it answers to a word from its parent. */
  ask(word: string): Promise<unknown>
  stop(): Promise<void>
}

export const startSmtpServer = (): Promise<DiscardServer> => startDiscardServer(import.meta.filename)

/** A program that sends its port when it listens, and then an answer to each word it is sent: `answerParent`. */
export async function startDiscardServer(
  program: string,
  args: readonly string[] = [],
): Promise<DiscardServer> {
  const child = fork(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    async ask(word) {
      child.send(word)
      const [answer] = await once(child, 'message')
      return answer
    },
    async stop() {
      child.kill()
      await once(child, 'exit')
    },
  }
}

/** CPU time so far, in µs: in the program, and in the kernel for it. */
export type CpuTime = NodeJS.CpuUsage

/** In the child: `port` is listened on. To `cpu` the answer is its CPU time; `answers` has more. */
export function answerParent(
  port: number,
  answers: Readonly<Record<string, () => Promise<unknown>>> = {},
): void {
  process.on('message', async (word: string) => {
    process.send?.(word === 'cpu' ? process.cpuUsage() : await answers[word]?.())
  })
  process.send?.(port)
}

if (process.argv[1] === import.meta.filename) {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData(stream, _session, callback) {
      stream.on('data', () => {})
      stream.on('end', () => callback(null))
    },
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.server.address()
    if (address !== null && typeof address === 'object') answerParent(address.port)
  })
}
