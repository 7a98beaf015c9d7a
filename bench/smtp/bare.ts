/**
 * No SMTP server: a socket of Node that looks at the first octet of what comes and answers. What is faster than this is not
 * written for Node's sockets.
 */

import { createServer } from 'node:net'
import { answerParent } from '../../test/peers/smtp-server.ts'
import { sampleShares } from './profile.ts'

const GREETING = Buffer.from('220 mail.example.com ESMTP\r\n')
const OK = Buffer.from('250 2.0.0 Taken, and thrown away\r\n')
const GO = Buffer.from('354 Start mail input; end with <CRLF>.<CRLF>\r\n')
const BYE = Buffer.from('221 2.0.0 Closing\r\n')
const [D, Q, DOT, LF] = [...Buffer.from('DQ.\n')]

const server = createServer({ noDelay: true }, socket => {
  let content = false
  socket.on('error', () => {})
  socket.on('data', octets => {
    if (content) {
      if (octets.at(-3) !== DOT || octets.at(-4) !== LF) return
      content = false
      socket.write(OK)
    } else if (octets[0] === D) {
      content = true
      socket.write(GO)
    } else if (octets[0] === Q) socket.end(BYE)
    else socket.write(OK)
  })
  socket.write(GREETING)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') answerParent(address.port, { profile: sampleShares })
})
