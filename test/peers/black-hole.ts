/**
 * An address that does not answer: a socket whose queue of connections is full, so that the kernel drops what comes. Only
 * another process can listen and not accept.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { start } from './program.ts'

const LISTEN = `
import signal, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(0)
print('listening', flush=True)
signal.pause()
`

export async function startBlackHole(host: string, port: number): Promise<{ stop(): Promise<void> }> {
  const running = start('python3', ['-c', LISTEN, host, String(port)])
  await running.said(/^listening$/m)
  // listen(0) holds one connection that was not accepted; the next are not answered.
  const filler = connect(port, host)
  await once(filler, 'connect')
  return {
    async stop() {
      filler.destroy()
      await running.stop()
    },
  }
}
