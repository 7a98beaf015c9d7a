/**
 * `docs/limits.md` is made of the table in `limits.ts`, its comments, and the keys of ptt.toml: `UPDATE_DOCS=1` writes it.
 */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { hopSession } from '../net/hop.ts'
import { LEAST, LIMITS, type Limits, MOST, TIMEOUTS } from './limits.ts'

const SOURCE = readFileSync(join(import.meta.dirname, 'limits.ts'), 'utf8')
const FILE = join(import.meta.dirname, '../../docs/limits.md')
const config = parseConfig('domain = "example.com"', '/etc/ptt/ptt.toml')

/** Keys of ptt.toml, and the value they have in a file that does not name them. */
const KEYS: Readonly<Record<string, [toml: string, value: (config: Config) => number | undefined]>> = {
  localPartOctets: ['limits.local_part_size', ({ limits }) => limits.localPartOctets],
  domainOctets: ['limits.domain_size', ({ limits }) => limits.domainOctets],
  pathOctets: ['limits.path_size', ({ limits }) => limits.pathOctets],
  commandLineOctets: ['limits.command_line_size', ({ limits }) => limits.commandLineOctets],
  replyLineOctetsRead: ['limits.reply_line_size', ({ limits }) => limits.replyLineOctets],
  textLineOctets: ['limits.text_line_size', ({ limits }) => limits.textLineOctets],
  messageOctets: ['submission.max_message_size', ({ submission }) => submission.maxMessageOctets],
  recipients: ['submission.max_recipients', ({ submission }) => submission.maxRecipients],
  transactions: ['submission.max_transactions', ({ submission }) => submission.maxTransactions],
  recipientDomains: ['submission.max_recipient_domains', ({ submission }) => submission.maxRecipientDomains],
  authFailures: ['submission.max_auth_failures', ({ submission }) => submission.maxAuthFailures],
  errors: ['submission.max_errors', ({ submission }) => submission.maxErrors],
  greetingMs: ['timeouts.greeting', ({ timeouts }) => timeouts.greetingMs],
  ehloMs: ['timeouts.ehlo', ({ timeouts }) => timeouts.ehloMs],
  starttlsMs: ['timeouts.starttls', ({ timeouts }) => timeouts.starttlsMs],
  mailMs: ['timeouts.mail', ({ timeouts }) => timeouts.mailMs],
  rcptMs: ['timeouts.rcpt', ({ timeouts }) => timeouts.rcptMs],
  dataMs: ['timeouts.data', ({ timeouts }) => timeouts.dataMs],
  dataBlockMs: ['timeouts.data_block', ({ timeouts }) => timeouts.dataBlockMs],
  dataTerminationMs: ['timeouts.data_termination', ({ timeouts }) => timeouts.dataTerminationMs],
  rsetMs: ['timeouts.rset', ({ timeouts }) => timeouts.rsetMs],
  serverMs: ['submission.idle', ({ submission }) => submission.idleMs],
}

test('what ptt.toml leaves out is as the table has it', () => {
  for (const [name, [toml, value]] of Object.entries(KEYS)) {
    const table: Readonly<Record<string, number>> = { ...LIMITS, ...TIMEOUTS }
    assert.equal(value(config) ?? Number.POSITIVE_INFINITY, table[name], toml)
  }
})

test('every limit of RFC 5321 §4.5.3.1 and every time-out of §4.5.3.2 has a key', () => {
  for (const comment of SOURCE.matchAll(/RFC 5321 (§4\.5\.3\.[12]\.\d)(?:(?!\*\/).)*\*\/\n {2}(\w+):/gs)) {
    const [, section = '', name = ''] = comment
    // What we send keeps to the least anybody takes; what we take is `replyLineOctetsRead`.
    if (name !== 'replyLineOctets') assert.ok(name in KEYS, `${section} ${name}`)
  }
})

/** A key of [limits], what is least and what is most there, and the section that says the least. */
const BOUNDS: readonly [name: keyof typeof LEAST, section: RegExp][] = [
  ['localPartOctets', /§4\.5\.3\.1\.1 .* 64 octets/],
  ['domainOctets', /§4\.5\.3\.1\.2 .* 255 octets/],
  ['pathOctets', /§4\.5\.3\.1\.3 .* 256 octets/],
  ['commandLineOctets', /§4\.5\.3\.1\.4 .* 512 octets/],
  ['replyLineOctetsRead', /§4\.5\.3\.1\.5 .* 512 octets/],
  ['textLineOctets', /§4\.5\.3\.1\.6 .* 1000 octets/],
]

for (const [name, section] of BOUNDS) {
  const [toml = '', value] = KEYS[name] ?? []
  // A path of any length stands in a command line of the greatest.
  const room = name === 'pathOctets' ? '\nlimits.command_line_size = "16 KiB"' : ''
  const written = (octets: number) => `domain = "example.com"\n${toml} = "${octets} B"${room}`

  test(`${toml} may be more than RFC 5321 asks for, and no less`, () => {
    for (const octets of [LEAST[name], LEAST[name] + 1, MOST[name]])
      assert.equal(value?.(parseConfig(written(octets), '/etc/ptt/ptt.toml')), octets)
    for (const octets of [0, LEAST[name] - 1, MOST[name] + 1])
      assert.throws(
        () => parseConfig(written(octets), '/etc/ptt/ptt.toml'),
        ({ message }: Error) => message.includes(toml) && section.test(message),
      )
  })
}

test('a path that no command line can hold is not possible', () => {
  assert.throws(
    () => parseConfig('domain = "example.com"\nlimits.path_size = "1 KiB"', '/etc/ptt/ptt.toml'),
    /limits\.command_line_size: 512 B cannot hold a path of 1024 B .* write "1280 B" or more/,
  )
})

test('the hops take whatever submission may be told to take', () => {
  const hop: Limits = hopSession('relay.example').limits
  for (const [name, most] of Object.entries(MOST)) assert.equal(hop[name as keyof typeof MOST], most, name)
})

/** What RFC 5321 §4.5.3 sets as the least. */
const LEAST_OF_ALL: readonly [name: keyof typeof LIMITS | keyof typeof TIMEOUTS, least: number][] = [
  ['localPartOctets', 64], // §4.5.3.1.1
  ['domainOctets', 255], // §4.5.3.1.2
  ['pathOctets', 256], // §4.5.3.1.3
  ['commandLineOctets', 512], // §4.5.3.1.4
  ['replyLineOctets', 512], // §4.5.3.1.5
  ['replyLineOctetsRead', 512], // §4.5.3.1.5
  ['textLineOctets', 1000], // §4.5.3.1.6
  ['messageOctets', 64 * 1024], // §4.5.3.1.7
  ['recipients', 100], // §4.5.3.1.8
  ['greetingMs', 300_000], // §4.5.3.2.1
  ['mailMs', 300_000], // §4.5.3.2.2
  ['rcptMs', 300_000], // §4.5.3.2.3
  ['dataMs', 120_000], // §4.5.3.2.4
  ['dataBlockMs', 180_000], // §4.5.3.2.5
  ['dataTerminationMs', 600_000], // §4.5.3.2.6
  ['serverMs', 300_000], // §4.5.3.2.7
]

test('no default is below what RFC 5321 §4.5.3 asks for', () => {
  for (const [name, least] of LEAST_OF_ALL) {
    assert.ok({ ...LIMITS, ...TIMEOUTS }[name] >= least, name)
    if (name in LEAST) assert.equal(LEAST[name as keyof typeof LEAST], least, name)
  }
})

test('docs/limits.md says what the code does', () => {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(FILE, document())
  assert.equal(readFileSync(FILE, 'utf8'), document(), 'UPDATE_DOCS=1 node --test src/smtp/limits.test.ts')
})

function document(): string {
  const hop = hopSession('relay.example').limits
  return `# Limits and time-outs

Made of \`src/smtp/limits.ts\`, which is the only place that has them; a test compares. A key of ptt.toml changes the value for
the services of that deployment. What is over a limit is refused with the reply in the last column; a client that waits in vain
for longer than a time-out gives the connection up.

## Limits

| | default | ptt.toml | |
|---|---|---|---|
${rows(LIMITS).join('\n')}

Between ptt's own servers a message may have ${Math.floor(hop.messageOctets / 2 ** 30)} GiB and ${hop.recipients.toLocaleString('en')} recipients, and a connection
${hop.transactions === Number.POSITIVE_INFINITY ? 'any number of' : hop.transactions} messages: submission is what limits users. They also take whatever \`[limits]\` can allow, so that its keys are set in one place.

The keys of \`[limits]\` go up only: RFC 5321 §4.5.3.1 has everybody take objects of at least these sizes, so less is refused by
\`ptt config check\`. More helps where you know who is at the other end: most servers on the Internet take no more than the
defaults, and a message that one of them refuses comes back. Addresses of your own users keep to the defaults.

## Extensions that have a value

| | default | ptt.toml | |
|---|---|---|---|
| FUTURERELEASE | ${seconds(config.submission.maxHoldSeconds)} | \`submission.max_hold\` | RFC 4865 §3: the longest a message is held; beyond it 501 5.5.4 |
| DELIVERBY | ${seconds(config.submission.minDeliverBySeconds)} | \`submission.min_deliver_by\` | RFC 2852 §2: the least time with R; below it 555 5.5.4 |
| MT-PRIORITY | ${config.submission.maxPriority} | \`submission.max_priority\` | RFC 6710 §4.1: the highest priority of a user; what is above is lowered and answered 250 2.3.6 |
| BINARYMIME | not offered | | RFC 3030 §3: BODY=BINARYMIME is 555 5.6.3. Few servers take a binary message, and converting one would alter what its author wrote, or break the signature |

## Time-outs

| | default | ptt.toml | |
|---|---|---|---|
${rows(TIMEOUTS).join('\n')}
`
}

const OVER: Readonly<Record<string, string>> = {
  localPartOctets: '501 5.1.3, 5.1.7',
  domainOctets: '501 5.1.3, 5.1.7',
  labelOctets: '501 5.1.3, 5.1.7',
  pathOctets: '501 5.1.3, 5.1.7',
  commandLineOctets: '500 5.5.2',
  textLineOctets: '550 5.6.0',
  messageOctets: '552 5.3.4',
  replyLineOctetsRead: '451 4.5.0',
  nameOctets: '501 5.1.3, 5.1.7',
  recipients: '452 4.5.3',
  transactions: '421 4.3.2',
  recipientDomains: '452 4.5.3',
  envelopeIdOctets: '501 5.5.4',
  originalRecipientOctets: '501 5.5.4',
  authLineOctets: '500 5.5.6',
  authFailures: '421 4.7.0',
  errors: '421 4.7.0',
  hops: '554 5.4.6',
  ownHops: '554 5.4.6',
}

function rows(table: Readonly<Record<string, number>>): string[] {
  return Object.entries(table).map(([name, value]) => {
    const [toml] = KEYS[name] ?? []
    const over = OVER[name] === undefined ? '' : ` Over it: ${OVER[name]}.`
    return `| ${spoken(name)} | ${shown(name, value)} | ${toml === undefined ? '' : `\`${toml}\``} | ${comment(name)}${over} |`
  })
}

/** The comment above `name` in the source, in one line. */
function comment(name: string): string {
  const [, text] = new RegExp(`/\\*\\* ((?:(?!\\*/).)*) \\*/\\n  ${name}:`, 's').exec(SOURCE) ?? []
  assert.ok(text !== undefined, `${name} has no comment`)
  return text.replace(/\n\s*\* /g, ' ')
}

const spoken = (name: string): string =>
  name
    .replace(/(Ms|Octets(?=Read|$))/, '')
    .replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
    .replace(/^./, letter => letter.toUpperCase())

function shown(name: string, value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'none'
  if (name.endsWith('Ms')) return seconds(value / 1000)
  if (!name.includes('Octets')) return value.toLocaleString('en')
  return value >= 2 ** 20 ? `${value / 2 ** 20} MiB` : `${value.toLocaleString('en')} octets`
}

function seconds(value: number): string {
  if (value >= 86_400) return `${value / 86_400} days`
  return value > 60 ? `${value / 60} min` : `${value} s`
}
