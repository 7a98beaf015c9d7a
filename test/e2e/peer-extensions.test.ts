/**
 * What the relay does with the extensions of real peers, and without them: Postfix logs every line that it is told
 * (`debug_peer_list`), Exim what was used. Each listener of one Postfix hides another extension.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ZoneRecord } from '../../src/sandbox/dns-zone.ts'
import { startExim } from '../peers/exim.ts'
import { needExim } from '../peers/exim-program.ts'
import { verifyWithMailauth } from '../peers/mailauth.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { literally } from '../peers/mta.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { sentPart } from './arrival.ts'
import { type Deployment, DOMAIN, deploy, type Happening, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

interface Message {
  readonly to: readonly string[]
  readonly mail?: string
  readonly rcpt?: string
  /** Default: ASCII. */
  readonly text?: string
  readonly subject?: string
}

/** Hands the message over and waits until each recipient is done with. */
async function send(t: TestContext, deployment: Deployment, message: Message): Promise<Happening[]> {
  const { to, mail = '', rcpt = '', text = 'How about tonight?\r\n', subject = 'Dinner' } = message
  const dialog = await signIn(t, deployment)
  await dialog.say(`MAIL FROM:<${USER}> ${mail}`.trimEnd(), 250)
  for (const recipient of to) await dialog.say(`RCPT TO:<${recipient}> ${rcpt}`.trimEnd(), 250)
  await dialog.say('DATA', 354)
  dialog.send(`From: ${USER}\r\nSubject: ${subject}\r\n\r\n${text}`)
  const [, id] = /Queued as (\w+)/.exec(await dialog.say('.', 250)) ?? []
  await dialog.say('QUIT', 221)
  const isIt = ({ fields }: Happening): boolean => fields.id === id
  const outcomes: Happening[] = []
  const seen = new Set<Happening>()
  for (let left = to.length; left > 0; ) {
    const outcome = await deployment.event(
      ['delivered', 'bounced', 'deferred'],
      happening => isIt(happening) && !seen.has(happening),
    )
    seen.add(outcome)
    outcomes.push(outcome)
    left -= (outcome.fields.recipients as readonly string[]).length
  }
  return outcomes
}

/** What a listener does not offer. */
const HIDDEN = {
  nothing: '',
  chunking: 'chunking',
  pipelining: 'pipelining',
  both: 'pipelining,chunking',
  size: 'size',
  '8bitmime': '8bitmime',
  smtputf8: 'smtputf8',
  dsn: 'dsn',
  starttls: 'starttls',
  all: 'pipelining,chunking,size,8bitmime,smtputf8,dsn,starttls,enhancedstatuscodes,etrn,vrfy',
} as const
type Host = keyof typeof HIDDEN
const HOSTS = Object.keys(HIDDEN) as Host[]

const domainOf = (host: Host): string => `${host}.internet.test`
const addressOf = (host: Host): string => `127.0.0.${HOSTS.indexOf(host) + 1}`
const MOST_OCTETS = 20_000
/** What Postfix says when it has a message. */
const QUEUED = '250 2\\.0\\.0 Ok: .*queued as'

/** What one peer was told, up to the end of a transaction; the session until then, and the transaction by itself. */
interface Told {
  readonly session: readonly string[]
  readonly transaction: readonly string[]
}

async function withPostfix(t: TestContext) {
  const listeners = HOSTS.slice(1).map(host => [
    addressOf(host),
    [`smtpd_discard_ehlo_keywords=${HIDDEN[host]}`],
  ])
  const postfix = await startPostfix({
    domains: HOSTS.map(domainOf),
    parameters: {
      debug_peer_list: '127.0.0.0/8',
      debug_peer_level: '1',
      message_size_limit: String(MOST_OCTETS),
      smtpd_recipient_limit: '2',
      smtpd_error_sleep_time: '0',
    },
    listeners: Object.fromEntries(listeners),
  })
  t.after(() => postfix.stop())
  const records = HOSTS.flatMap((host): ZoneRecord[] => [
    { name: host, type: 'MX', data: `10 mx.${domainOf(host)}` },
    { name: `mx.${host}`, type: 'A', data: addressOf(host) },
  ])
  const deployment = await deploy(t, {
    smtpPort: postfix.port,
    zones: [{ origin: 'internet.test', records }],
  })
  /** @param ends the reply that ends it, or the replies */
  const told = async (recipient: string, ends = QUEUED): Promise<Told> => {
    const rcpt = `smtpd\\[(\\d+)\\]: < \\S+: RCPT TO:<${literally(recipient)}>`
    const {
      0: found,
      1: pid,
      index,
    } = await postfix.logged(new RegExp(`${rcpt}[^]*?smtpd\\[\\1\\]: > \\S+: ${ends}`))
    const lines = postfix
      .log()
      .slice(0, index + found.length)
      .split('\n')
      .flatMap(line => new RegExp(`smtpd\\[${pid}\\]: [<>] \\S+: (.*)$`).exec(line)?.[1] ?? [])
    // A process of Postfix has many sessions, a session of ours many transactions.
    const last = (pattern: RegExp): string[] => lines.slice(lines.findLastIndex(line => pattern.test(line)))
    const commands = (said: string[]): string[] => said.filter(line => !/^\d{3}/.test(line))
    return { session: commands(last(/^220 \S+ ESMTP/)), transaction: commands(last(/^MAIL/)) }
  }
  return { postfix, deployment, told }
}

const EIGHT_BIT = 'Grüße aus Köln\r\n'
const LARGE = `${'x'.repeat(78)}\r\n`.repeat(MOST_OCTETS / 80)

const outcomesOf = (happenings: readonly Happening[]): unknown[] =>
  happenings.map(({ name, fields }) => [name, fields.status])

test('Postfix: what it offers is used, what it does not is not missed', async t => {
  if (!needPostfix(t)) return
  const { postfix, deployment, told } = await withPostfix(t)
  let tags = 0
  const somebodyAt = (host: Host): string => `bob+${tags++}@${domainOf(host)}`
  let arrived = 0

  /** Delivered, and as Postfix was told it, sizes as N. */
  const delivered = async (host: Host, message: Omit<Message, 'to'>): Promise<Told> => {
    const to = somebodyAt(host)
    const outcomes = await send(t, deployment, { ...message, to: [to] })
    assert.deepEqual(outcomesOf(outcomes), [['delivered', '2.0.0']], JSON.stringify(outcomes))
    arrived++
    const { session, transaction } = await told(to)
    const sizes = new Set(transaction.join('\n').match(/(?<=SIZE=|BDAT )\d+/g))
    assert.ok(sizes.size <= 1, `SIZE and BDAT are about the same octets: ${transaction}`)
    const plain = (lines: readonly string[]): string[] =>
      lines.map(line =>
        line
          .replace(/(?<=SIZE=|BDAT )\d+/, 'N')
          .replaceAll(to, 'TO')
          .replaceAll(to.replace('+', '+2B'), 'ORIGINAL'),
      )
    return { session: plain(session), transaction: plain(transaction) }
  }

  const wishes = { mail: 'BODY=8BITMIME RET=HDRS ENVID=QQ314159', rcpt: 'NOTIFY=FAILURE' }
  const mail = `MAIL FROM:<${USER}>`
  const asked = 'RET=HDRS ENVID=QQ314159'
  const rcpt = 'RCPT TO:<TO> NOTIFY=FAILURE ORCPT=rfc822;ORIGINAL'
  const everything = [`${mail} SIZE=N BODY=8BITMIME ${asked}`, rcpt, 'BDAT N LAST']
  const cases: [host: Host, text: string, transaction: string[]][] = [
    ['nothing', EIGHT_BIT, everything],
    ['nothing', 'Hi\r\n', [`${mail} SIZE=N ${asked}`, rcpt, 'BDAT N LAST']],
    ['chunking', EIGHT_BIT, [`${mail} SIZE=N BODY=8BITMIME ${asked}`, rcpt, 'DATA']],
    ['pipelining', EIGHT_BIT, everything],
    ['both', EIGHT_BIT, [`${mail} SIZE=N BODY=8BITMIME ${asked}`, rcpt, 'DATA']],
    ['size', EIGHT_BIT, [`${mail} BODY=8BITMIME ${asked}`, rcpt, 'BDAT N LAST']],
    ['8bitmime', 'Hi\r\n', [`${mail} SIZE=N ${asked}`, rcpt, 'BDAT N LAST']],
    ['smtputf8', EIGHT_BIT, everything],
    ['dsn', EIGHT_BIT, [`${mail} SIZE=N BODY=8BITMIME`, 'RCPT TO:<TO>', 'BDAT N LAST']],
    ['starttls', EIGHT_BIT, everything],
    ['all', 'Hi\r\n', [mail, 'RCPT TO:<TO>', 'DATA']],
  ]
  for (const [host, text, transaction] of cases)
    await t.test(`${HIDDEN[host] || 'nothing'} hidden: ${text.trimEnd()}`, async () => {
      const found = await delivered(host, { ...wishes, text })
      assert.deepEqual(found.transaction, transaction)
      assert.equal(found.session.includes('STARTTLS'), !HIDDEN[host].includes('starttls'))
    })

  const impossible: [what: string, host: Host, message: Omit<Message, 'to'>, status: string, why: RegExp][] =
    [
      ['more than SIZE allows', 'nothing', { text: LARGE }, '5.3.4', /the peer accepts 20000 \(SIZE\)$/],
      ['8-bit text', '8bitmime', { mail: 'BODY=8BITMIME', text: EIGHT_BIT }, '5.6.3', /not support 8BITMIME/],
      [
        'a header in UTF-8',
        'smtputf8',
        { mail: 'SMTPUTF8', subject: 'Grüße' },
        '5.6.7',
        /not support SMTPUTF8/,
      ],
      ['8-bit text', 'all', { mail: 'BODY=8BITMIME', text: EIGHT_BIT }, '5.6.3', /not support 8BITMIME/],
    ]
  for (const [what, host, message, status, why] of impossible)
    await t.test(`${HIDDEN[host] || 'nothing'} hidden, ${what}: comes back before MAIL`, async () => {
      const to = somebodyAt(host)
      const outcomes = await send(t, deployment, { ...message, to: [to] })
      assert.deepEqual(outcomesOf(outcomes), [['bounced', status]], JSON.stringify(outcomes))
      assert.match(String(outcomes[0]?.fields.reply), why)
      // The next one does well, and Postfix was not told of the first.
      const { session } = await delivered(host, {})
      assert.ok(!session.some(line => line.includes(to)), session.join('\n'))
    })

  await t.test('SIZE hidden, more than it takes: its 552, and it is still in step', async () => {
    const to = somebodyAt('size')
    const outcomes = await send(t, deployment, { text: LARGE, to: [to] })
    assert.deepEqual(outcomesOf(outcomes), [['bounced', '5.3.4']], JSON.stringify(outcomes))
    const { transaction } = await told(to, '552 5\\.3\\.4 ')
    assert.equal(transaction[0], mail)
    await delivered('size', {})
  })

  await t.test('SMTPUTF8 offered: the header and the address go as they are', async () => {
    const to = `用户@${domainOf('nothing')}`
    const outcomes = await send(t, deployment, { mail: 'SMTPUTF8', subject: 'Grüße', to: [to] })
    assert.deepEqual(outcomesOf(outcomes), [['delivered', '2.0.0']], JSON.stringify(outcomes))
    arrived++
    await postfix.logged(new RegExp(`< \\S+: MAIL FROM:<${USER}> SIZE=\\d+ BODY=8BITMIME SMTPUTF8$`, 'm'))
  })

  await t.test(
    'no LIMITS, but it takes two recipients at once: the others come in the next transactions',
    async () => {
      const to = [1, 2, 3, 4, 5].map(() => somebodyAt('nothing'))
      const outcomes = await send(t, deployment, { to })
      const recipients = outcomes.flatMap(({ name, fields }) =>
        name === 'delivered' ? fields.recipients : [],
      )
      assert.deepEqual(recipients, to)
      arrived += 3
      const { session } = await told(to.at(-1) ?? '', `${QUEUED}[^]*${QUEUED}[^]*${QUEUED}`)
      const lines = session.slice(session.findIndex(line => line.includes(`<${to[0]}>`)) - 1)
      const verbs = lines.map(line => line.slice(0, 4)).join(' ')
      assert.match(verbs, /^MAIL( RCPT){5} BDAT( RSET)? MAIL( RCPT){3} BDAT( RSET)? MAIL RCPT BDAT/)
    },
  )

  await t.test('what arrived is whole: its signature is valid', async () => {
    const messages = await awaitMessages(postfix.maildir, arrived)
    const verdicts = await verifyWithMailauth(
      messages.map(({ octets }) => sentPart(octets)),
      DOMAIN,
      deployment.dns.port,
    )
    assert.deepEqual(
      verdicts,
      messages.map(() => 'pass'),
    )
  })
})

test('Exim: the same, in its own words', async t => {
  if (!needExim(t)) return
  const offered = '$' + '{if eq{$received_ip_address}{127.0.0.2}{}{*}}'
  const exim = await startExim({
    domains: ['internet.test', 'bare.test', DOMAIN],
    addresses: ['127.0.0.1', '127.0.0.2'],
    parameters: {
      pipelining_advertise_hosts: offered,
      chunking_advertise_hosts: offered,
      dsn_advertise_hosts: offered,
      tls_advertise_hosts: offered,
      message_size_limit: String(MOST_OCTETS),
    },
  })
  t.after(() => exim.stop())
  const mx = (origin: string, address: string): ZoneRecord[] => [
    { name: '@', type: 'MX', data: `10 mx.${origin}` },
    { name: 'mx', type: 'A', data: address },
  ]
  const deployment = await deploy(t, {
    smtpPort: exim.port,
    zones: [
      { origin: 'internet.test', records: mx('internet.test', '127.0.0.1') },
      { origin: 'bare.test', records: mx('bare.test', '127.0.0.2') },
    ],
    records: mx(DOMAIN, '127.0.0.1'),
  })
  /** The line about the arrival of a message for `to`. */
  const arrival = (to: string): string =>
    new RegExp(`^.* <= .* for ${literally(to)}$`, 'm').exec(exim.log())?.[0] ?? exim.log()

  await t.test('by STARTTLS, PIPELINING and CHUNKING, 8-bit; it reports delivery', async () => {
    const to = 'bob@internet.test'
    const message = { mail: 'BODY=8BITMIME RET=HDRS ENVID=QQ314159', rcpt: 'NOTIFY=SUCCESS', text: EIGHT_BIT }
    const outcomes = await send(t, deployment, { ...message, to: [to] })
    assert.deepEqual(outcomesOf(outcomes), [['delivered', '2.0.0']], JSON.stringify(outcomes))
    // M8S: the BODY that was said; L, K: the two extensions, used (the dot: what Exim offers beside, and nobody has).
    assert.match(arrival(to), / P=esmtps L\.? X=TLS1\.3:\S+ .*K S=\d+ M8S=8 /)
    const messages = await awaitMessages(exim.maildir, 2)
    const report = messages
      .map(({ octets }) => octets.toString())
      .find(text => /multipart\/report/.test(text))
    assert.match(report ?? '', /^Original-Envelope-ID: QQ314159$/m)
    assert.match(report ?? '', /^Action: delivered$/m)
    assert.ok(!deployment.events.some(({ name }) => name === 'notice'))
  })

  // It refuses who speaks out of turn where PIPELINING was not offered (smtp_enforce_sync).
  await t.test('without them', async () => {
    const to = 'bob@bare.test'
    const outcomes = await send(t, deployment, { to: [to], rcpt: 'NOTIFY=FAILURE' })
    assert.deepEqual(outcomesOf(outcomes), [['delivered', '2.0.0']], JSON.stringify(outcomes))
    assert.match(arrival(to), / P=esmtp S=/)
  })

  await t.test('more than SIZE allows comes back before MAIL', async () => {
    const to = 'carol@internet.test'
    // Its header only, or the notice would not fit either.
    const outcomes = await send(t, deployment, { to: [to], mail: 'RET=HDRS', text: LARGE })
    assert.deepEqual(outcomesOf(outcomes), [['bounced', '5.3.4']], JSON.stringify(outcomes))
    assert.match(String(outcomes[0]?.fields.reply), /the peer accepts 20000 \(SIZE\)$/)
    assert.ok(!exim.log().includes(to))
  })

  await t.test('what arrived is whole: its signature is valid', async () => {
    const messages = await awaitMessages(exim.maildir, 4)
    // Exim's report has a signature of ours only in what it returns.
    const ours = messages
      .map(({ octets }) => octets)
      .filter(octets => octets.subarray(0, octets.indexOf('\n\n')).includes('DKIM-Signature:'))
    const verdicts = await verifyWithMailauth(ours.map(sentPart), DOMAIN, deployment.dns.port)
    assert.deepEqual(verdicts, ['pass', 'pass', 'pass'])
  })
})
