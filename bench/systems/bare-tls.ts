/** A server of the bare `tls` module that greets, in a process of its own: `node bare-tls.ts CERTIFICATE KEY`. */

import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'

const [certificate = '', key = ''] = process.argv.slice(2)
const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, socket => {
  socket.on('error', () => socket.destroy())
  socket.write('220 bare.bench.test ESMTP\r\n')
  socket.resume()
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
// Its parent is gone.
process.on('disconnect', () => process.exit(0))
