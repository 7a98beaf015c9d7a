/** A limit of RFC 5321 §4.5.3.1 that an operator has set is the one that holds, to the octet. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientSession } from './client.ts'
import { EXTENSION_LINE_OCTETS } from './extension.ts'
import { LIMITS, type Limits } from './limits.ts'
import { reply } from './reply.ts'
import { ServerSession } from './server.ts'

/** What the last line was answered; a service that says yes to everything. */
function say(limits: Partial<Limits>, ...lines: readonly string[]): string {
  const session = new ServerSession({
    hostname: 'foo.com',
    limits: { ...LIMITS, ...limits },
    tls: 'implicit',
    tlsRequired: false,
    auth: [],
    authRequired: false,
    hop: false,
  })
  let said = ''
  const yes = (code: number) => Buffer.from(session.reply(reply(code, '2.0.0', 'OK'))).toString()
  for (const line of ['EHLO bar.com', ...lines]) {
    for (const event of session.receive(Buffer.from(`${line}\r\n`))) {
      if (event.type === 'reply') said = Buffer.from(event.octets).toString()
      else if (event.type === 'mail' || event.type === 'rcpt' || event.type === 'message') said = yes(250)
    }
  }
  return said
}

/** U-labels of 18 octets in UTF-8, which are shorter as A-labels than the limit of DNS. */
const uLabels = (octets: number): string => {
  const labels = 'ééééééééé.'.repeat(Math.floor(octets / 19))
  return `${labels}${'a'.repeat(octets - Buffer.byteLength(labels))}`
}

const path = (octets: number): string => `<@${'r'.repeat(60)}.example:a@${'b'.repeat(octets - 78)}.com>`
const command = (octets: number): string =>
  `NOOP ${'x'.repeat(octets + EXTENSION_LINE_OCTETS - 'NOOP \r\n'.length)}`
const line = (octets: number): string[] => [
  'MAIL FROM:<a@b.com>',
  'RCPT TO:<c@d.com>',
  'DATA',
  `${'x'.repeat(octets - 2)}\r\n.`,
]

/** The limit, lines whose last is of so many octets where the limit is set to as many, and what is said to one more. */
const cases: readonly [
  name: keyof Limits,
  octets: number,
  lines: (octets: number) => readonly string[],
  over: RegExp,
][] = [
  [
    'localPartOctets',
    100,
    n => [`MAIL FROM:<${'l'.repeat(n)}@b.com>`],
    /^501 5\.1\.7 .*longer than 100 octets/,
  ],
  [
    'localPartOctets',
    64,
    n => [`MAIL FROM:<${'l'.repeat(n)}@b.com>`],
    /^501 5\.1\.7 .*longer than 64 octets/,
  ],
  ['domainOctets', 300, n => [`MAIL FROM:<a@[x:${'d'.repeat(n - 4)}]> SMTPUTF8`], /^501 5\.1\.7 /],
  ['domainOctets', 255, n => [`MAIL FROM:<a@[x:${'d'.repeat(n - 4)}]> SMTPUTF8`], /^501 5\.1\.7 /],
  ['domainOctets', 150, n => [`MAIL FROM:<a@${uLabels(n)}> SMTPUTF8`], /^501 5\.1\.7 /],
  [
    'domainOctets',
    150,
    n => [`EHLO ${'d.'.repeat(n / 2)}${'d'.repeat(n % 2)}`.replace(/\.$/, 'e')],
    /^501 5\.5\.4 /,
  ],
  ['pathOctets', 130, n => [`MAIL FROM:${path(n)}`], /^501 5\.1\.7 .*path longer than 130 octets/],
  ['commandLineOctets', 700, n => [command(n)], /^500 5\.5\.2 Line too long/],
  ['commandLineOctets', 512, n => [command(n)], /^500 5\.5\.2 Line too long/],
  ['textLineOctets', 5000, line, /^550 5\.6\.0 /],
  ['textLineOctets', 1000, line, /^550 5\.6\.0 /],
]

for (const [name, octets, lines, over] of cases) {
  test(`${name} ${octets}: ${lines(octets)[0]?.slice(0, 20)}`, () => {
    // The others are out of the way.
    const wide = { localPartOctets: 1000, domainOctets: 1000, pathOctets: 2000, commandLineOctets: 4000 }
    const limits = { ...wide, [name]: octets }
    assert.match(say(limits, ...lines(octets)), /^250/)
    assert.match(say(limits, ...lines(octets + 1)), over)
  })
}

test('a domain that DNS cannot ask for is none, whatever may be written', () => {
  const domain = `${'d'.repeat(60)}.`.repeat(5)
  const limits = { domainOctets: 500, pathOctets: 1000 }
  assert.match(say(limits, `MAIL FROM:<a@${domain}com>`), /^501 5\.1\.7 .*bad domain/)
})

test('the reply line that a client takes', () => {
  for (const replyLineOctets of [512, 4096, 10_000]) {
    const greeting = (octets: number) => Buffer.from(`220 ${'g'.repeat(octets - '220 \r\n'.length)}\r\n`)
    const client = () => new ClientSession({ hostname: 'bar.com', replyLineOctets })
    assert.equal([...client().receive(greeting(replyLineOctets))].length, 1)
    assert.throws(() => [...client().receive(greeting(replyLineOctets + 1))], /line too long/)
    // Also what is said once TLS is up.
    const secured = client()
    for (const _ of secured.receive(Buffer.from('220 hello\r\n')));
    secured.secured()
    secured.ehlo()
    assert.throws(() => [...secured.receive(greeting(replyLineOctets + 1))], /line too long/)
  }
})
