/**
 * The `smtp-server` library of npm, in a process of its own: it accepts everything and throws it away. Run as a program
 * it is that process.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { SMTPServer } from 'smtp-server'

export interface DiscardServer {
  readonly port: number
  /** CPU time it has used so far, in s. */
  cpuSeconds(): Promise<number>
  stop(): Promise<void>
}

export const startSmtpServer = (): Promise<DiscardServer> => startDiscardServer(import.meta.filename)

/** A program that sends its port when it listens, and its CPU time when it is sent anything. */
export async function startDiscardServer(
  program: string,
  args: readonly string[] = [],
): Promise<DiscardServer> {
  const child = fork(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    async cpuSeconds() {
      child.send('cpu')
      const [seconds] = (await once(child, 'message')) as [number]
      return seconds
    },
    async stop() {
      child.kill()
      await once(child, 'exit')
    },
  }
}

/** In the child: `port` is listened on. */
export function answerParent(port: number): void {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.((user + system) / 1e6)
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
