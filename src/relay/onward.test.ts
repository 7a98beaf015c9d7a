import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message, Recipient } from '../queue/queue.ts'
import { ClientSession } from '../smtp/client.ts'
import { onwardEnvelope } from './onward.ts'

const ARRIVED = 1_700_000_000_000
const ALL = [
  'DSN',
  'DELIVERBY',
  'MT-PRIORITY',
  'REQUIRETLS',
  'FUTURERELEASE 999 2040-01-01T00:00:00Z',
  'AUTH PLAIN',
  'XPTT',
]

function messageTo(
  recipients: readonly Partial<Recipient>[],
  envelope: Partial<Message['envelope']> = {},
): Message {
  return {
    id: '01KAXE0000000000000000000A',
    reversePath: { localPart: 'Alice', domain: 'Example.ORG' },
    envelope: { body: '7BIT', smtputf8: false, ...envelope },
    arrivedMs: ARRIVED,
    expiresMs: ARRIVED + 1,
    sizeOctets: 100,
    recipients: recipients.map(recipient => ({
      mailbox: { localPart: 'Bob', domain: 'Example.COM' },
      destination: 'example.com',
      state: 'pending',
      attempts: 0,
      dueMs: ARRIVED,
      ...recipient,
    })),
  }
}

/** The MAIL and RCPT commands as a peer with these keywords gets them. */
function commands(message: Message, keywords: readonly string[], afterMs = 0, requireTls = false): string[] {
  const session = new ClientSession({ hostname: 'mail.example.org' })
  Array.from(session.receive(Buffer.from('220 ready\r\n')))
  session.ehlo()
  const lines = ['peer', ...keywords]
  const reply = lines.map((line, n) => `250${n === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
  Array.from(session.receive(Buffer.from(reply)))
  const { extensions } = session
  const nowMs = ARRIVED + afterMs
  const envelope = onwardEnvelope(message, [...message.recipients.keys()], { extensions, requireTls, nowMs })
  return [
    session.mail(envelope.reversePath, envelope),
    ...envelope.recipients.map(recipient => session.rcpt(recipient)),
  ].map(octets => Buffer.from(octets).toString().trimEnd())
}

const rfc822 = (address: string) => ({ addressType: 'rfc822', address })

test('RFC 3461 §10.2 and §10.3: what goes to peers that have DSN', () => {
  const message = messageTo(
    [
      { notify: ['SUCCESS'], originalRecipient: rfc822('Bob@Example.COM') },
      {
        mailbox: { localPart: 'Dana', domain: 'Ivory.EDU' },
        notify: ['SUCCESS', 'FAILURE'],
        originalRecipient: rfc822('Dana@Ivory.EDU'),
      },
    ],
    { ret: 'HDRS', envelopeId: 'QQ314159' },
  )
  assert.deepEqual(commands(message, ['DSN']), [
    'MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159',
    'RCPT TO:<Bob@Example.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM',
    'RCPT TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU',
  ])
})

test('RFC 3461 §10.4 and §5.2.2 a: nothing of it to a peer without', () => {
  const message = messageTo([{ notify: ['FAILURE'], originalRecipient: rfc822('Eric@Bombs.AF.MIL') }], {
    ret: 'HDRS',
    envelopeId: 'QQ314159',
  })
  assert.deepEqual(commands(message, ['SIZE']), [
    'MAIL FROM:<Alice@Example.ORG> SIZE=100',
    'RCPT TO:<Bob@Example.COM>',
  ])
})

test('RFC 3461 §10.5 and §5.2.1 d: ORCPT goes on as it came', () => {
  const message = messageTo([
    {
      mailbox: { localPart: 'Sam', domain: 'Boondoggle.GOV' },
      notify: [],
      originalRecipient: rfc822('George@Tax-ME.GOV'),
    },
  ])
  assert.equal(
    commands(message, ['DSN'])[1],
    'RCPT TO:<Sam@Boondoggle.GOV> NOTIFY=NEVER ORCPT=rfc822;George@Tax-ME.GOV',
  )
})

/** RFC 3461 §5.2.1 d: "it MUST contain the recipient address from the RCPT command". */
const added: [what: string, localPart: string, domain: string, keywords: string[], orcpt: string | null][] = [
  ['as it is', 'Bob', 'Example.COM', ['DSN'], 'rfc822;Bob@Example.COM'],
  ['xtext', 'a+b', 'x.test', ['DSN'], 'rfc822;a+2Bb@x.test'],
  ['RFC 6533 §3', 'bü', 'x.test', ['DSN', 'SMTPUTF8'], 'utf-8;bü@x.test'],
  [
    'no more than 500 octets of it',
    `b${'ü'.repeat(30)}`,
    `${'ü'.repeat(60)}.test`,
    ['DSN', 'SMTPUTF8'],
    'utf-8',
  ],
  [
    'longer in ASCII',
    'b',
    `${Array.from({ length: 6 }, () => 'ü'.repeat(20)).join('.')}.test`,
    ['DSN'],
    null,
  ],
]
for (const [what, localPart, domain, keywords, orcpt] of added)
  test(`an ORCPT is added: ${what}`, () => {
    const [, rcpt = ''] = commands(messageTo([{ mailbox: { localPart, domain } }]), keywords)
    const value = / ORCPT=(\S+)$/.exec(rcpt)?.[1] ?? null
    assert.equal(orcpt === 'utf-8' ? value?.split(';')[0] : value, orcpt)
  })

/** RFC 2852 §4.1.4: the seconds that are left. */
const times: [seconds: number, mode: 'R' | 'N', afterMs: number, by: string][] = [
  // §6: "22 seconds have elapsed".
  [120, 'R', 22_000, 'BY=98;R'],
  [120, 'R', 22_999, 'BY=98;R'],
  [120, 'N', 120_000, 'BY=0;N'],
  [120, 'N', 125_000, 'BY=-5;N'],
]
for (const [seconds, mode, afterMs, by] of times)
  test(`BY=${seconds};${mode} after ${afterMs / 1000} s is ${by}`, () => {
    const message = messageTo([{}], { deliverBy: { seconds, mode, trace: false } })
    assert.equal(commands(message, ['DELIVERBY'], afterMs)[0], `MAIL FROM:<Alice@Example.ORG> ${by}`)
  })

/** RFC 2852 §4.1.4.2. */
const notifies: [notify: Recipient['notify'], keywords: string[], afterMs: number, written: string | null][] =
  [
    [undefined, ['DSN'], 0, 'FAILURE,DELAY'],
    [['SUCCESS'], ['DSN'], 0, 'SUCCESS,DELAY'],
    [['DELAY', 'FAILURE'], ['DSN'], 0, 'DELAY,FAILURE'],
    [[], ['DSN'], 0, 'NEVER'],
    [undefined, ['DSN'], 120_000, null],
    [undefined, ['DSN', 'DELIVERBY'], 0, null],
    [['SUCCESS'], ['DSN', 'DELIVERBY'], 0, 'SUCCESS'],
    [['SUCCESS'], [], 0, null],
  ]
for (const [notify, keywords, afterMs, written] of notifies)
  test(`BY=120;N, NOTIFY=${notify}, after ${afterMs / 1000} s, to a peer with ${keywords}: ${written}`, () => {
    const message = messageTo([notify === undefined ? {} : { notify }], {
      deliverBy: { seconds: 120, mode: 'N', trace: false },
    })
    const [, rcpt = ''] = commands(message, keywords, afterMs)
    assert.equal(/ NOTIFY=(\S+)/.exec(rcpt)?.[1] ?? null, written)
  })

test('what is not the business of peers is not told them', () => {
  const message = messageTo([{}], {
    authenticatedAs: 'alice@example.org',
    xptt: { id: '01KAXE0000000000000000000A' },
    hold: { forSeconds: 60 },
    requireTls: true,
    priority: 3,
  })
  assert.equal(commands(message, ALL)[0], 'MAIL FROM:<Alice@Example.ORG> MT-PRIORITY=3')
  assert.equal(commands(message, ALL, 0, true)[0], 'MAIL FROM:<Alice@Example.ORG> REQUIRETLS MT-PRIORITY=3')
  assert.equal(commands(message, [])[0], 'MAIL FROM:<Alice@Example.ORG>')
})

test('RFC 6710 §4.2: the priority is said where nobody said one', () => {
  assert.equal(commands(messageTo([{}]), ['MT-PRIORITY'])[0], 'MAIL FROM:<Alice@Example.ORG> MT-PRIORITY=0')
})
