/** What submission makes of a message: Received, Date and Message-ID before it, nothing behind. */

import type { User } from '../../src/directory/directory.ts'
import { LIMITS } from '../../src/smtp/limits.ts'
import { complete, type Submission } from '../../src/submission/complete.ts'
import { mails } from './mail.ts'
import { inTurn, type Operation, type Room } from './measure.ts'

const USER: User = {
  name: 'alice@example.com',
  localPart: 'alice',
  domain: 'example.com',
  verifier: { scheme: 'BLAKE2B-512', digest: new Uint8Array(64) },
  senders: ['*@example.com'],
  targets: [],
}

const SUBMISSION: Submission = {
  stamp: {
    from: 'client.example.com',
    address: '192.0.2.7',
    by: 'mail.example.com',
    protocol: 'ESMTPSA',
    id: '01K9ZQ4W2T8J6N3R5V7XABCDEF',
    dateMs: 1_763_720_430_000,
  },
  user: USER,
  envelope: {
    reversePath: USER,
    recipients: [{ forwardPath: { localPart: 'bob', domain: 'example.net' } }],
    smtputf8: false,
  },
  domain: 'example.com',
  limits: LIMITS,
  whole: true,
}

export const submission: Room = { name: 'submission', operations }

function operations(): Operation[] {
  const whole = mails(64).map(({ octets }) => [octets])
  const bare = whole.map(([octets = Buffer.alloc(0)]) => [
    Buffer.from(octets.toString('latin1').replace(/^(?:Date|Message-ID): .*\r\n/gm, ''), 'latin1'),
  ])
  return [
    { name: 'completed: Received', run: inTurn(whole, content => complete(content, SUBMISSION)) },
    {
      name: 'completed: Received, Date, Message-ID',
      run: inTurn(bare, content => complete(content, SUBMISSION)),
    },
  ]
}
