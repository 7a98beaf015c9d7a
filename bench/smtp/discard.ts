/** Our server over TCP, in clear: accepts everything and throws it away. A process of its own. */

import { type ListenOptions, listen, type SessionHandler } from '../../src/net/listener.ts'
import { silent } from '../../src/observe/event.ts'
import { LIMITS } from '../../src/smtp/limits.ts'
import { fixedReply } from '../../src/smtp/reply.ts'
import { answerParent } from '../../test/peers/smtp-server.ts'
import { sampleShares } from './profile.ts'

const SENDER = fixedReply(250, '2.1.0', 'Sender accepted')
const RECIPIENT = fixedReply(250, '2.1.5', 'Recipient accepted')
const TAKEN = fixedReply(250, '2.0.0', 'Taken, and thrown away')

const handler: SessionHandler = {
  mail: () => SENDER,
  rcpt: () => RECIPIENT,
  content: () => {},
  message: async () => TAKEN,
  reset: () => {},
}
const options: ListenOptions = {
  address: { host: '127.0.0.1', port: 0 },
  session: {
    hostname: 'mail.example.com',
    limits: { ...LIMITS, transactions: Number.POSITIVE_INFINITY },
    tls: 'none',
    tlsRequired: false,
    auth: [],
    authRequired: false,
    hop: false,
  },
  acceptor: null,
  idleMs: 60_000,
  maxConnections: 1000,
  log: silent,
  handler: () => handler,
}

answerParent((await listen(options)).port, { profile: sampleShares })
