/** Free ports for servers that cannot listen on port 0 and say which they got. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that is free for TCP and UDP at this moment. Another process may take it before the
 * server does: a starter that then fails to listen asks for another one.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const tcp = createServer()
    tcp.listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const { port } = tcp.address() as AddressInfo
    const udp = createSocket('udp4')
    const free = new Promise<boolean>(resolve => {
      udp.once('error', () => resolve(false))
      udp.bind(port, '127.0.0.1', () => resolve(true))
    })
    const bothFree = await free
    udp.close()
    tcp.close()
    await once(tcp, 'close')
    if (bothFree) return port
  }
  throw new Error('no port is free for both TCP and UDP')
}
