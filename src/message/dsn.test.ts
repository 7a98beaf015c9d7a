import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildNotification, type RecipientReport, type StatusNotification } from './dsn.ts'
import { endOfHeader, fieldBody, fieldsNamed, parseHeader } from './header.ts'

const NOW = Date.UTC(2025, 8, 5, 10, 0, 0)
const DAY = 86_400_000

const unknown: RecipientReport = {
  mailbox: { localPart: 'bob', domain: 'example.net' },
  evidence: {
    atMs: NOW - 1000,
    status: '5.1.1',
    diagnostic: '550 5.1.1 <bob@example.net>: User unknown',
    remote: 'mx1.example.net [192.0.2.25]',
  },
}
const expired: RecipientReport = {
  mailbox: { localPart: 'carol', domain: 'example.org' },
  evidence: { atMs: NOW - 60_000, status: '4.4.1', diagnostic: 'connect to mx.example.org: timed out' },
}
const HEADER = 'From: Alice <alice@example.com>\r\nSubject: Dinner\r\nMessage-ID: <1@example.com>\r\n'

const basic: StatusNotification = {
  id: '01K4CQZ8Y0ABCDEFGHJKMNPQRS',
  action: 'failed',
  language: 'en',
  reportingMta: 'relay.example.com',
  postmaster: { localPart: 'postmaster', domain: 'example.com' },
  recipient: { localPart: 'alice', domain: 'example.com' },
  arrivedMs: NOW - 5 * DAY,
  nowMs: NOW,
  reports: [unknown],
  original: Buffer.from(`${HEADER}\r\nHi\r\n`),
  smtputf8: false,
}

interface Parsed {
  readonly octets: Buffer
  /** The value of a field of the notice itself. */
  value(name: string): string
  readonly parts: readonly { readonly type: string; readonly encoding: string; readonly body: string }[]
}

function build(change: Partial<StatusNotification> = {}): Parsed {
  const octets = Buffer.from(buildNotification({ ...basic, ...change }))
  const header = parseHeader(octets)
  const value = (name: string): string => {
    const [field, ...more] = fieldsNamed(header, name)
    assert.equal(more.length, 0, `more than one ${name}`)
    return field ? fieldBody(field) : ''
  }
  const boundary = /boundary="([^"]+)"/.exec(value('Content-Type'))?.[1]
  const [, ...sections] = octets.subarray(endOfHeader(octets)).toString().split(`\r\n--${boundary}`)
  assert.equal(sections.pop(), '--\r\n')
  const parts = sections.map(section => {
    assert.ok(section.startsWith('\r\n'))
    const part = Buffer.from(section.slice(2))
    const fields = parseHeader(part)
    const of = (name: string): string => fieldsNamed(fields, name).map(fieldBody).join()
    const body = part.subarray(endOfHeader(part)).toString()
    return { type: of('Content-Type'), encoding: of('Content-Transfer-Encoding'), body }
  })
  return { octets, value, parts }
}

test('the header says what it is, and that a program wrote it', () => {
  const { value } = build()
  assert.equal(value('From'), 'Mail delivery <postmaster@example.com>')
  assert.equal(value('To'), '<alice@example.com>')
  assert.equal(value('Subject'), 'Not delivered: Dinner')
  assert.equal(value('Date'), 'Fri, 5 Sep 2025 10:00:00 +0000')
  assert.equal(value('Message-ID'), '<01K4CQZ8Y0ABCDEFGHJKMNPQRS@relay.example.com>')
  assert.equal(value('In-Reply-To'), '<1@example.com>')
  assert.equal(value('References'), '<1@example.com>')
  assert.equal(value('Auto-Submitted'), 'auto-replied')
  assert.equal(value('MIME-Version'), '1.0')
  assert.match(value('Content-Type'), /^multipart\/report; report-type=delivery-status; boundary="/)
})

test('the text is for people', () => {
  const { parts } = build({ reports: [unknown, expired], originalId: '01K4CQZ8Y0ABCDEFGHJKMNPQRR' })
  const [text] = parts
  assert.equal(text?.type, 'text/plain; charset=us-ascii')
  const unfolded = text?.body.replace(/\s+/g, ' ') ?? ''
  for (const words of [
    'could not be delivered to these 2 recipients',
    'bob@example.net There is no such mailbox.',
    'The server mx1.example.net [192.0.2.25] said (Fri, 5 Sep 2025 09:59:59 +0000): 550 5.1.1 <bob@example.net>: User unknown',
    'carol@example.org The mail servers of this domain did not answer.',
    'We have tried for 5 days',
    'Our server noted (Fri, 5 Sep 2025 09:59:00 +0000): connect to mx.example.org: timed out',
    'Subject: Dinner',
    'give this number: 01K4CQZ8Y0ABCDEFGHJKMNPQRR',
  ])
    assert.ok(unfolded.includes(words), `${words}\n${text?.body}`)
  for (const line of text?.body.split('\r\n') ?? []) assert.ok(line.length <= 78, line)
})

test('the fields programs read, RFC 3464 §2', () => {
  const { parts } = build({ reports: [unknown, expired], envelopeId: 'QQ314159' })
  const status = parts[1]
  assert.equal(status?.type, 'message/delivery-status')
  assert.equal(status?.encoding, '7bit')
  assert.equal(
    status?.body,
    [
      'Original-Envelope-Id: QQ314159',
      'Reporting-MTA: dns; relay.example.com',
      'Arrival-Date: Sun, 31 Aug 2025 10:00:00 +0000',
      '',
      'Final-Recipient: rfc822; bob@example.net',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx1.example.net',
      'Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: User unknown',
      'Last-Attempt-Date: Fri, 5 Sep 2025 09:59:59 +0000',
      '',
      'Final-Recipient: rfc822; carol@example.org',
      'Action: failed',
      'Status: 4.4.1',
      'Diagnostic-Code: x-ptt; connect to mx.example.org: timed out',
      'Last-Attempt-Date: Fri, 5 Sep 2025 09:59:00 +0000',
      '',
    ].join('\r\n'),
  )
})

test('a message that is only late', () => {
  const late: RecipientReport = { ...expired, retryUntilMs: NOW + DAY }
  const { value, parts } = build({ action: 'delayed', reports: [late] })
  assert.equal(value('Subject'), 'Delayed: Dinner')
  assert.match(parts[0]?.body ?? '', /You need not send it again/)
  assert.match(parts[0]?.body ?? '', /We keep trying until Sat, 6 Sep 2025 10:00:00/)
  assert.match(parts[1]?.body ?? '', /^Action: delayed\r$/m)
  assert.match(parts[1]?.body ?? '', /^Will-Retry-Until: Sat, 6 Sep 2025 10:00:00 \+0000\r$/m)
})

const UTF8_HEADER = 'From: Jörg <jörg@example.com>\r\nSubject: Grüße\r\n'
const jörg = { localPart: 'jörg', domain: 'example.com' }
const BIG = Buffer.from(`${HEADER}\r\n${'x'.repeat(70)}\r\n`.repeat(900))
const LATIN1 = Buffer.from('From: a@example.com\r\nSubject: Gr\xfc\xdfe\r\n\r\n', 'latin1')

/** What comes back of the original. */
const returned: [
  what: string,
  change: Partial<StatusNotification>,
  type: string,
  encoding: string,
  body: string | RegExp,
][] = [
  ['a small message is returned whole', {}, 'message/rfc822', '7bit', `${HEADER}\r\nHi\r\n`],
  ['of a big one the header', { original: BIG }, 'text/rfc822-headers', '7bit', HEADER],
  ['a header section alone', { original: Buffer.from(HEADER) }, 'text/rfc822-headers', '7bit', HEADER],
  [
    'a body of 8 bits would make the notice one of 8 bits',
    { original: Buffer.from(`${HEADER}\r\nGrüße\r\n`) },
    'text/rfc822-headers',
    '7bit',
    HEADER,
  ],
  [
    'a line too long for SMTP',
    { original: Buffer.from(`${HEADER}\r\n${'x'.repeat(999)}\r\n`) },
    'text/rfc822-headers',
    '7bit',
    HEADER,
  ],
  [
    'a header of 8 bits that should not be, quoted',
    { original: LATIN1 },
    'text/rfc822-headers',
    'quoted-printable',
    'From: a@example.com\r\nSubject: Gr=FC=DFe\r\n',
  ],
  [
    'RFC 6533 §4.3, through 7 bits',
    { original: Buffer.from(`${UTF8_HEADER}\r\nGrüße\r\n`), smtputf8: true },
    'message/global-headers',
    'quoted-printable',
    /^From: J=C3=B6rg <j=C3=B6rg@example\.com>\r\nSubject: Gr=C3=BC=C3=9Fe\r\n$/,
  ],
  [
    'RFC 6533 §4.2, to an address that needs SMTPUTF8 anyway',
    { original: Buffer.from(`${UTF8_HEADER}\r\nGrüße\r\n`), smtputf8: true, recipient: jörg },
    'message/global',
    '8bit',
    `${UTF8_HEADER}\r\nGrüße\r\n`,
  ],
  [
    'RET=HDRS, RFC 3461 §4.3: the header, however small the message is',
    { ret: 'HDRS' },
    'text/rfc822-headers',
    '7bit',
    HEADER,
  ],
  [
    'RET=FULL: the whole message, however big it is',
    { ret: 'FULL', original: BIG },
    'message/rfc822',
    '7bit',
    BIG.toString(),
  ],
  [
    'RET=FULL, and more than is returned in any case',
    {
      ret: 'FULL',
      original: Buffer.concat([Buffer.from(`${HEADER}\r\n`), Buffer.alloc(10 * 1024 * 1024, 'x\r\n')]),
    },
    'text/rfc822-headers',
    '7bit',
    HEADER,
  ],
  [
    'RET=FULL of a message of 8 bits: the notice has 8 bits too',
    { ret: 'FULL', original: Buffer.from(`${HEADER}\r\nGrüße\r\n`) },
    'message/rfc822',
    '8bit',
    `${HEADER}\r\nGrüße\r\n`,
  ],
  [
    'RET=FULL of a message with a UTF-8 header, through 7 bits: encoded',
    { ret: 'FULL', original: Buffer.from(`${UTF8_HEADER}\r\nGrüße\r\n`), smtputf8: true },
    'message/global',
    'base64',
    Buffer.from(`${UTF8_HEADER}\r\nGrüße\r\n`)
      .toString('base64')
      .replace(/.{76}(?=.)/g, '$&\r\n'),
  ],
  [
    'RET=FULL where nothing failed: the header (RFC 3461 §6.2)',
    { ret: 'FULL', action: 'delayed' },
    'text/rfc822-headers',
    '7bit',
    HEADER,
  ],
  ['the same where nobody said RET', { action: 'relayed' }, 'text/rfc822-headers', '7bit', HEADER],
  [
    'an original that is no message',
    { original: Buffer.from('rubbish') },
    'text/rfc822-headers',
    '7bit',
    'rubbish',
  ],
]

for (const [what, change, type, encoding, body] of returned)
  test(what, () => {
    const { parts, octets, value } = build(change)
    const part = parts[2]
    assert.equal(part?.type, type)
    assert.equal(part?.encoding, encoding)
    if (body instanceof RegExp) assert.match(part?.body ?? '', body)
    else assert.equal(part?.body, body)
    const eightBit = change.recipient === jörg || encoding === '8bit'
    assert.equal(value('Content-Transfer-Encoding'), eightBit ? '8bit' : '7bit')
    assert.equal(
      octets.every(octet => octet < 128),
      !eightBit,
    )
  })

const müller: RecipientReport = {
  ...unknown,
  mailbox: { localPart: 'müller', domain: 'bücher.example' },
  evidence: { ...unknown.evidence, diagnostic: '550 5.1.1 <müller@bücher.example>: Gibt es nicht' },
}

test('an address beyond ASCII, through 7 bits: utf-8-addr-xtext of RFC 6533 §3', () => {
  const { parts, octets } = build({ reports: [müller], smtputf8: true })
  assert.equal(parts[1]?.type, 'message/delivery-status')
  assert.match(parts[1]?.body ?? '', /^Final-Recipient: utf-8; m\\x\{FC\}ller@b\\x\{FC\}cher\.example\r$/m)
  assert.match(
    parts[1]?.body ?? '',
    /^Diagnostic-Code: smtp; 550 5\.1\.1 <m\?ller@b\?cher\.example>: Gibt es nicht\r$/m,
  )
  assert.equal(parts[0]?.encoding, 'quoted-printable')
  assert.ok(parts[0]?.body.includes('m=C3=BCller@b=C3=BCcher.example'))
  assert.ok(octets.every(octet => octet < 128))
})

test('a long domain beyond ASCII still fits on a line: in A-labels', () => {
  const domain = `${Array.from({ length: 4 }, () => 'ä'.repeat(45)).join('.')}.example`
  const long: RecipientReport = { ...unknown, mailbox: { localPart: 'ö'.repeat(32), domain } }
  const { parts } = build({ reports: [long] })
  assert.match(parts[1]?.body ?? '', /^Final-Recipient: utf-8;\r\n (\\x\{F6\}){32}@xn--[a-z0-9-]+\.xn--/m)
})

test('an address beyond ASCII, to one: message/global-delivery-status of RFC 6533 §4.1', () => {
  const { value, parts } = build({ reports: [müller], smtputf8: true, recipient: jörg })
  assert.match(value('Content-Type'), /report-type=global-delivery-status/)
  assert.equal(value('Content-Transfer-Encoding'), '8bit')
  assert.equal(value('To'), '<jörg@example.com>')
  assert.equal(parts[1]?.type, 'message/global-delivery-status')
  assert.equal(parts[1]?.encoding, '8bit')
  assert.match(parts[1]?.body ?? '', /^Final-Recipient: utf-8; müller@bücher\.example\r$/m)
  assert.match(
    parts[1]?.body ?? '',
    /^Diagnostic-Code: smtp; 550 5\.1\.1 <müller@bücher\.example>: Gibt es nicht\r$/m,
  )
})

test('a message that was passed on', () => {
  const passedOn: RecipientReport = {
    ...unknown,
    circumstance: 'no report',
    // RFC 3464 §2.3.9: of no use here, and not said.
    retryUntilMs: NOW + DAY,
    evidence: { ...unknown.evidence, status: '2.0.0', diagnostic: '250 2.0.0 Ok: queued as 4XYZ' },
  }
  const { value, parts } = build({ action: 'relayed', reports: [passedOn] })
  assert.equal(value('Subject'), 'Passed on: Dinner')
  const text = parts[0]?.body.replace(/\s+/g, ' ') ?? ''
  assert.match(text, /Your message has been passed on to the mail server of this recipient/)
  assert.match(text, /bob@example\.net The server there does not report when a message reaches the mailbox\./)
  assert.doesNotMatch(text, /sorry|trying/)
  assert.match(
    parts[1]?.body ?? '',
    /^Action: relayed\r\nStatus: 2\.0\.0\r\nRemote-MTA: dns; mx1\.example\.net\r$/m,
  )
  assert.match(parts[1]?.body ?? '', /^Diagnostic-Code: smtp; 250 2\.0\.0 Ok: queued as 4XYZ\r$/m)
  assert.doesNotMatch(parts[1]?.body ?? '', /Will-Retry-Until/)
})

test('RFC 3461 §10.7: the failed DSN for Carol', () => {
  const carol = { localPart: 'Carol', domain: 'Ivory.EDU' }
  const { value, parts } = build({
    reportingMta: 'Example.ORG',
    recipient: { localPart: 'Alice', domain: 'Example.ORG' },
    envelopeId: 'QQ314159',
    ret: 'HDRS',
    reports: [
      {
        mailbox: carol,
        originalRecipient: { addressType: 'rfc822', address: 'Carol@Ivory.EDU' },
        evidence: {
          atMs: NOW,
          status: '5.0.0',
          diagnostic: '550 error - no such recipient',
          remote: 'Ivory.EDU [192.0.2.1]',
        },
      },
    ],
  })
  assert.equal(value('To'), '<Alice@Example.ORG>')
  assert.equal(
    parts[1]?.body,
    [
      'Original-Envelope-Id: QQ314159',
      'Reporting-MTA: dns; Example.ORG',
      'Arrival-Date: Sun, 31 Aug 2025 10:00:00 +0000',
      '',
      'Original-Recipient: rfc822; Carol@Ivory.EDU',
      'Final-Recipient: rfc822; Carol@Ivory.EDU',
      'Action: failed',
      'Status: 5.0.0',
      'Remote-MTA: dns; Ivory.EDU',
      'Diagnostic-Code: smtp; 550 error - no such recipient',
      'Last-Attempt-Date: Fri, 5 Sep 2025 10:00:00 +0000',
      '',
    ].join('\r\n'),
  )
  assert.equal(parts[2]?.type, 'text/rfc822-headers')
})

test('what was asked of the time: RFC 2852 §5, RFC 4865 §5.1.2', () => {
  const { parts } = build({ deliverByMs: NOW - 1000, futureRelease: 'for;86400' })
  assert.match(
    parts[1]?.body ?? '',
    /^Arrival-Date: .*\r\nDeliver-By-Date: Fri, 5 Sep 2025 09:59:59 \+0000\r\nFuture-Release-Request: for;86400\r$/m,
  )
})

test('what we found out about a server is not what it said', () => {
  const { parts } = build({
    reports: [
      { ...unknown, evidence: { ...unknown.evidence, status: '4.4.1', diagnostic: 'connect: refused' } },
    ],
  })
  assert.match(
    parts[1]?.body ?? '',
    /^Remote-MTA: dns; mx1\.example\.net\r\nDiagnostic-Code: x-ptt; connect: refused\r$/m,
  )
  assert.match(
    parts[0]?.body.replace(/\s+/g, ' ') ?? '',
    /Our server noted of mx1\.example\.net \[192\.0\.2\.25\] \(/,
  )
})

test('where nothing was attempted there is no Last-Attempt-Date', () => {
  const { parts } = build({
    reports: [{ ...expired, evidence: { ...expired.evidence, attempted: false } }],
  })
  assert.doesNotMatch(parts[1]?.body ?? '', /Last-Attempt-Date/)
})

/** ORCPT, to a recipient with an ASCII address, and to one without (RFC 6533 §3). */
const originalRecipients: [addressType: string, address: string, sevenBit: string, eightBit: string][] = [
  ['rfc822', 'Bob@Example.COM', 'rfc822; Bob@Example.COM', 'rfc822; Bob@Example.COM'],
  ['x400', '/C=de/A=  /S=Bob/', 'x400; /C=de/A=  /S=Bob/', 'x400; /C=de/A=  /S=Bob/'],
  [
    'utf-8',
    'müller@bücher.example',
    'utf-8; m\\x{FC}ller@b\\x{FC}cher.example',
    'utf-8; müller@bücher.example',
  ],
  ['utf-8', 'm\\x{FC}ller@b.example', 'utf-8; m\\x{FC}ller@b.example', 'utf-8; müller@b.example'],
  // "If an address […] does not conform to utf-8 syntax, then it MUST be copied".
  ['utf-8', 'm\\x{D800}@b.example', 'utf-8; m\\x{D800}@b.example', 'utf-8; m\\x{D800}@b.example'],
  ['rfc822', 'a\r\nAction: delivered', 'rfc822; a Action: delivered', 'rfc822; a Action: delivered'],
]
for (const [addressType, address, sevenBit, eightBit] of originalRecipients)
  test(`ORCPT=${addressType};${JSON.stringify(address)} in a notice`, () => {
    const originalRecipient = { addressType, address }
    const of = (change: Partial<StatusNotification>): string | undefined =>
      /^Original-Recipient: (.*)\r$/m.exec(build(change).parts[1]?.body.replace(/\r\n /g, ' ') ?? '')?.[1]
    assert.equal(of({ reports: [{ ...unknown, originalRecipient }] }), sevenBit)
    // A diagnostic beyond ASCII makes it message/global-delivery-status in any case.
    const reports = [{ ...müller, originalRecipient }]
    assert.equal(of({ reports, recipient: jörg, smtputf8: true }), eightBit)
  })

test('the subject is quoted only where it can be', () => {
  const of = (subject: string): string =>
    build({ original: Buffer.from(`From: a@b.example\r\nSubject: ${subject}\r\n\r\n`) }).value('Subject')
  assert.equal(of('=?utf-8?Q?Gr=C3=BC=C3=9Fe?='), 'Not delivered: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=')
  assert.equal(of('Grüße'), 'Your message was not delivered')
  assert.equal(of('x'.repeat(201)), 'Your message was not delivered')
  assert.equal(of('a\x07b'), 'Your message was not delivered')
  assert.equal(
    build({ original: Buffer.from('rubbish\r\n\r\n') }).value('Subject'),
    'Your message was not delivered',
  )
})

test('an original that holds the boundary does not end a part', () => {
  const original = Buffer.from(`${HEADER}\r\n--=_${basic.id}--\r\n--=_${basic.id}_\r\n`)
  const { parts } = build({ original })
  assert.equal(parts.length, 3)
  assert.equal(parts[2]?.body, original.toString())
})

test('whatever a server says: a valid notice, lines of at most 998 octets, no field more', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('x'.repeat(5000), '\r\nAction: delivered', ''),
  )
  fc.assert(
    fc.property(text, text, text, (diagnostic, remote, subject) => {
      const failure: RecipientReport = { ...unknown, evidence: { ...unknown.evidence, diagnostic, remote } }
      for (const recipient of [basic.recipient, jörg]) {
        const original = Buffer.from(
          `From: a@b.example\r\nSubject: ${subject.replace(/[\r\n]/g, '')}\r\n\r\n`,
        )
        const { octets, parts } = build({ reports: [failure], recipient, original })
        assert.equal(parts.length, 3)
        assert.equal(parts[1]?.body.match(/^Action:/gm)?.length, 1)
        assert.doesNotMatch(octets.toString('latin1'), /[^\r]\n|\r[^\n]|\0/)
        for (const line of octets.toString('latin1').split('\r\n')) assert.ok(line.length <= 998, line)
      }
    }),
    { seed: 3464, numRuns: 300 },
  )
})

test('in another language people read another text, programs the same', () => {
  const english = build({ action: 'delayed' })
  const german = build({ action: 'delayed', language: 'de' })
  assert.equal(german.value('From'), 'Mailzustellung <postmaster@example.com>')
  assert.equal(german.value('Subject'), '=?utf-8?q?Verz=C3=B6gert?=: Dinner')
  assert.ok(german.octets.includes('\r\nContent-Language: de\r\n'))
  const text = decodeQuotedPrintable(german.parts[0]?.body ?? '').replace(/\s+/g, ' ')
  assert.match(
    text,
    /Dies ist der Mailserver relay\.example\.com\. Leider hat Ihre Nachricht diesen Empfänger noch nicht erreicht\./,
  )
  assert.match(text, /Der Server mx1\.example\.net .* antwortete/)
  assert.equal(german.parts[1]?.body, english.parts[1]?.body)
  const french = build({ language: 'fr' })
  assert.equal(french.value('From'), 'Distribution du courrier <postmaster@example.com>')
  assert.equal(french.value('Subject'), 'Non =?utf-8?q?distribu=C3=A9?=: Dinner')
})

function decodeQuotedPrintable(text: string): string {
  const octets = text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(octets, 'latin1').toString()
}
