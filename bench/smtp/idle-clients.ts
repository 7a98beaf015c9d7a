/** Clients that connect, say EHLO, and nothing more: `node idle-clients.ts <port> <sessions>`. */

import { once } from 'node:events'
import { connect } from 'node:tls'

const port = Number(process.argv[2])
let left = Number(process.argv[3])
const AT_ONCE = 50

async function client(): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  await once(socket, 'data')
  socket.write('EHLO client.example.test\r\n')
  await once(socket, 'data')
  socket.on('close', () => process.send?.('a session was closed'))
}

async function worker(): Promise<void> {
  while (left-- > 0) await client()
}

// Node has raised its limit of open files as far as it may.
try {
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  process.send?.(0)
} catch (error) {
  process.send?.(`${error}: is the limit of open files (ulimit -Hn) large enough?`)
}
