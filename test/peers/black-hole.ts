/**
 * An address that does not answer: a socket whose queue of connections is full, so that the kernel drops what comes. Only
 * another process can listen and not accept.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'

const LISTEN = `
import socket, sys
s = socket.socket()
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(0)
print(s.getsockname()[1], flush=True)
sys.stdin.read()
`

export async function startBlackHole(
  host: string,
  port = 0,
): Promise<{ port: number; stop(): Promise<void> }> {
  const child = spawn('python3', ['-c', LISTEN, host, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  const listening = Number(line)
  // listen(0) holds one connection that was not accepted; the next are not answered.
  const filler = connect(listening, host)
  await once(filler, 'connect')
  return {
    port: listening,
    async stop() {
      const ended = once(child, 'exit')
      filler.destroy()
      child.kill()
      await ended
    },
  }
}
