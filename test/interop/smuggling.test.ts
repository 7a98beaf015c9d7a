/**
 * SMTP smuggling (CVE-2023-51764 to 51766): one message that a second server reads as two. What is not CRLF.CRLF ends no
 * message of ours, and content with a line end that is none is refused; what we do send on, Postfix, Exim and smtp-sink
 * read as the one message that it is.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ZoneData } from '../../src/sandbox/dns-zone.ts'
import { sentPart, sinkPart } from '../e2e/arrival.ts'
import { type Deployment, deploy, USER } from '../e2e/deployment.ts'
import type { Dialog } from '../e2e/dialog.ts'
import { signIn } from '../e2e/sign-in.ts'
import { Random } from '../fuzz/random.ts'
import { startExim } from '../peers/exim.ts'
import { needExim } from '../peers/exim-program.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { need } from '../peers/need.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'

const HEADER = `From: ${USER}\r\nTo: bob@internet.test\r\nSubject: one\r\n\r\n`
const SMUGGLED =
  'MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@internet.test>\r\nDATA\r\n' +
  'From: admin@example.test\r\nSubject: smuggled\r\n\r\nPay at once.\r\n'

/** What some server somewhere has taken for the end of a message, or for the end of a line. */
const ENDS: Readonly<Record<string, string>> = {
  'LF . LF': '\n.\n',
  'LF . CRLF': '\n.\r\n',
  'CR . CR': '\r.\r',
  'CR . CRLF': '\r.\r\n',
  'CR . LF': '\r.\n',
  'CRLF . LF': '\r\n.\n',
  'CRLF . CR': '\r\n.\r',
  'CRLF . CR CRLF': '\r\n.\r\r\n',
  'LF CR . CR LF': '\n\r.\r\n',
  'CRLF NUL . CRLF': '\r\n\0.\r\n',
  'CRLF . NUL CRLF': '\r\n.\0\r\n',
}

/** Each in a write, and in a TLS record, of its own. */
async function sendApart(dialog: Dialog, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    dialog.send(Buffer.from(piece, 'latin1'))
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Whole, and cut in two inside of `middle` and at its ends. */
function cuts(before: string, middle: string, after: string): string[][] {
  const ways = [[`${before}${middle}${after}`]]
  for (let at = 0; at <= middle.length; at++) {
    ways.push([`${before}${middle.slice(0, at)}`, `${middle.slice(at)}${after}`])
  }
  return ways
}

/** In step: the next command is answered as such, and nothing was said in between. */
async function inStep(dialog: Dialog): Promise<void> {
  await dialog.say('NOOP', 250)
}

/** Each refusal is an error, and there are many. */
const PATIENT = { submission: ['max_errors = 1000'] }

async function sinkDeployment(t: TestContext): Promise<{ deployment: Deployment; sink: SmtpSink }> {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  return { deployment: await deploy(t, { smtpPort: sink.port, toml: PATIENT }), sink }
}

test('what ends no message is refused, and the session stays in step', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await sinkDeployment(t)
  const dialog = await signIn(t, deployment)

  for (const [name, end] of Object.entries(ENDS)) {
    for (const pieces of cuts(`${HEADER}one`, end, SMUGGLED)) {
      await dialog.say(`MAIL FROM:<${USER}>`, 250)
      await dialog.say('RCPT TO:<bob@internet.test>', 250)
      await dialog.say('DATA', 354)
      await sendApart(dialog, [...pieces, '.\r\n'])
      assert.match(await dialog.expect(550, name), /^550 5\.5\.2 /, name)
      await inStep(dialog)
    }
  }

  for (const [name, end] of Object.entries(ENDS)) {
    for (const [first = '', second] of cuts(`${HEADER}one`, end, SMUGGLED)) {
      await dialog.say(`MAIL FROM:<${USER}>`, 250)
      await dialog.say('RCPT TO:<bob@internet.test>', 250)
      // The second chunk is sent whatever is said to the first, as pipelining clients do.
      if (second === undefined) await sendApart(dialog, [`BDAT ${first.length} LAST\r\n${first}`])
      else {
        await sendApart(dialog, [
          `BDAT ${first.length}\r\n${first}`,
          `BDAT ${second.length} LAST\r\n${second}`,
        ])
        const reply = await dialog.expect(undefined, name)
        assert.match(reply, /^(?:250 2\.0\.0|550 5\.5\.2) /, name)
      }
      assert.match(await dialog.expect(undefined, name), /^(?:550 5\.5\.2|503 5\.5\.1) /, name)
      await inStep(dialog)
    }
  }

  const sent = await send(dialog, 'bob@internet.test', [Buffer.from(`${HEADER}good\r\n`)], 'DATA')
  await deployment.event('delivered', ({ fields }) => fields.id === sent)
  assert.equal(sink.messages().length, 1, 'the good one, and nothing beside it')
  assert.equal(deployment.events.filter(({ name }) => name === 'queued').length, 1)
})

test('a command ends with CRLF only', async t => {
  const deployment = await deploy(t, { toml: PATIENT })
  const dialog = await signIn(t, deployment)
  for (const line of [
    'NOOP\nNOOP',
    'NOOP\rNOOP',
    'NOOP\n',
    'NOOP\r',
    '\nNOOP',
    'NO\0OP',
    'RSET\nQUIT\n',
    `MAIL FROM:<${USER}>\nRCPT TO:<bob@internet.test>`,
    `MAIL FROM:<${USER}>\rRCPT TO:<bob@internet.test>\rDATA`,
    `MAIL FROM:<${USER}\0>`,
    `MAIL FROM:<${USER}> SIZE=1\nDATA`,
    'BDAT 5 LAST\n',
    'BDAT 5\rLAST',
    'DATA\n',
  ]) {
    const at = line.search(/[\r\n\0]/)
    for (const pieces of cuts(line.slice(0, at), line.slice(at, at + 1), `${line.slice(at + 1)}\r\n`)) {
      await sendApart(dialog, pieces)
      assert.match(await dialog.expect(500, line), /^500 5\.5\.2 /, JSON.stringify(line))
    }
    await inStep(dialog)
  }
})

test('content that looks like a command is content, however it is cut', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await sinkDeployment(t)
  const dialog = await signIn(t, deployment)
  const ids: string[] = []
  const body = `one\r\n.\r\n${SMUGGLED}.\r\n`
  for (const pieces of cuts(`${HEADER}one`, '\r\n.\r\n', `${SMUGGLED}.\r\n`)) {
    ids.push(
      await send(
        dialog,
        'bob@internet.test',
        pieces.map(piece => Buffer.from(piece)),
        'BDAT',
      ),
    )
  }
  for (const id of ids) await deployment.event('delivered', ({ fields }) => fields.id === id)
  const bodies = sink.messages().map(message => bodyOf(sinkPart(message)))
  assert.deepEqual(
    bodies,
    ids.map(() => body),
  )
})

/** Hands it over: by DATA in one piece, by BDAT in these chunks. The id it was queued under. */
async function send(
  dialog: Dialog,
  to: string,
  pieces: readonly Buffer[],
  way: 'DATA' | 'BDAT',
): Promise<string> {
  await dialog.say(`MAIL FROM:<${USER}>`, 250)
  for (const recipient of to.split(' ')) await dialog.say(`RCPT TO:<${recipient}>`, 250)
  if (way === 'DATA') {
    await dialog.say('DATA', 354)
    const text = Buffer.concat(pieces).toString('latin1')
    const lines = text.endsWith('\r\n') ? text : `${text}\r\n`
    dialog.send(Buffer.from(`${lines.replace(/^\./gm, '..')}.\r\n`, 'latin1'))
  } else {
    for (const [at, piece] of pieces.entries()) {
      const last = at === pieces.length - 1
      dialog.send(Buffer.concat([Buffer.from(`BDAT ${piece.length}${last ? ' LAST' : ''}\r\n`), piece]))
      if (!last) await dialog.expect(250, 'BDAT')
    }
  }
  const [, id] = /Queued as (\w+)/.exec(await dialog.expect(250, way)) ?? []
  assert.ok(id)
  return id
}

function bodyOf(message: Buffer): string {
  const text = message.toString('latin1')
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

interface Content {
  readonly name: string
  readonly way: 'DATA' | 'BDAT'
  readonly pieces: readonly string[]
}

/** Legal, every one of them, and all that a careless reader of dots and line ends could get wrong. */
function contents(): Content[] {
  const both = (name: string, body: string): Content[] => [
    { name: `${name}, DATA`, way: 'DATA', pieces: [body] },
    { name: `${name}, BDAT`, way: 'BDAT', pieces: [body] },
  ]
  const pattern = '\r\n.\r\n'
  return [
    ...both('a dot', '.\r\n'),
    ...both('dots', '.\r\n..\r\n...\r\n.a\r\n..a\r\n. \r\n.\t\r\nend\r\n'),
    ...both('ends of data', pattern.repeat(2000)),
    ...both('a dialogue', `one${pattern}${SMUGGLED}.\r\nQUIT\r\n`),
    ...both('a dialogue by BDAT', `one${pattern}BDAT 5 LAST\r\n12345RSET\r\nBDAT 0 LAST\r\n`),
    ...both('lines of dots', `${'.'.repeat(998)}\r\n${'.'.repeat(997)}\r\n`.repeat(50)),
    ...both('no line end at the end', `one${pattern}two`),
    ...both('a dot at the end', `one\r\n.`),
    ...both('two dots at the end', `one\r\n..`),
    ...both('an empty body', ''),
    ...both('empty lines', '\r\n\r\n\r\n.\r\n\r\n'),
    ...both('large', dotted(300_000, 1)),
    ...both('larger than what is held', dotted(1_500_000, 2)),
    ...[1, 2, 3, 4].map(at => ({
      name: `chunks cut after ${at} octets of CRLF.CRLF`,
      way: 'BDAT' as const,
      pieces: [`one${pattern.slice(0, at)}`, `${pattern.slice(at)}${SMUGGLED}`, '.\r\n'],
    })),
    { name: 'a chunk for each octet', way: 'BDAT', pieces: [...`one${pattern}two${pattern}`] },
  ]
}

/** Lines of all lengths with dots before and between them: at each boundary of reads and writes there is something. */
function dotted(octets: number, seed: number): string {
  const random = new Random(seed)
  let text = ''
  while (text.length < octets) {
    text += `${'.'.repeat(random.below(4))}${'x'.repeat(random.oneIn(20) ? random.below(990) : random.below(9))}\r\n`
  }
  return text
}

/** Sends all of them to `recipients`; what was stored must be them, in any order. */
async function checkOnward(
  t: TestContext,
  deployment: Deployment,
  recipients: readonly string[],
): Promise<readonly string[]> {
  const dialog = await signIn(t, deployment)
  const bodies: string[] = []
  for (const { name, way, pieces } of contents()) {
    const header = `From: ${USER}\r\nSubject: ${name}\r\n\r\n`
    const [first = '', ...others] = pieces
    const sent = [`${header}${first}`, ...others].map(piece => Buffer.from(piece, 'latin1'))
    const id = await send(dialog, recipients.join(' '), sent, way)
    const seen = new Set()
    while (seen.size < recipients.length) {
      const { name: outcome, fields } = await deployment.event(
        ['delivered', 'deferred', 'bounced'],
        ({ fields }) => fields.id === id && !seen.has(String(fields.recipients)),
      )
      assert.equal(outcome, 'delivered', `${name}: ${fields.reply}`)
      seen.add(String(fields.recipients))
    }
    const body = pieces.join('')
    for (const _ of recipients) bodies.push(body === '' || body.endsWith('\r\n') ? body : `${body}\r\n`)
  }
  return bodies.sort()
}

/** With the line end that some receivers add where there is none. */
const stored = (messages: readonly Buffer[]): string[] =>
  messages
    .map(bodyOf)
    .map(body => (body === '' || body.endsWith('\r\n') ? body : `${body}\r\n`))
    .sort()

function zone(origin: string, address: string): ZoneData {
  return {
    origin,
    records: [
      { name: '@', type: 'MX', data: `10 mx.${origin}` },
      { name: 'mx', type: 'A', data: address },
    ],
  }
}

test('what we send on is one message: smtp-sink', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await sinkDeployment(t)
  const wanted = await checkOnward(t, deployment, ['bob@internet.test'])
  assert.deepEqual(stored(sink.messages().map(sinkPart)), wanted)
})

test('what we send on is one message: Postfix, by BDAT and by DATA', async t => {
  if (!needPostfix(t)) return
  const domains = ['chunking.test', 'data.test']
  const postfix = await startPostfix({
    domains,
    listeners: { '127.0.0.2': ['smtpd_discard_ehlo_keywords=chunking'] },
  })
  t.after(() => postfix.stop())
  const zones = [zone('chunking.test', '127.0.0.1'), zone('data.test', '127.0.0.2')]
  const deployment = await deploy(t, { smtpPort: postfix.port, zones })
  const wanted = await checkOnward(
    t,
    deployment,
    domains.map(domain => `bob@${domain}`),
  )
  const messages = await awaitMessages(postfix.maildir, wanted.length)
  assert.deepEqual(stored(messages.map(({ octets }) => sentPart(octets))), wanted)
  // Each that smtpd began, whether it has been delivered or not.
  assert.equal(postfix.log().match(/smtpd\[\d+\]: \w+: client=/g)?.length, wanted.length)
})

test('what we send on is one message: Exim, by BDAT and by DATA', async t => {
  if (!needExim(t)) return
  const domains = ['chunking.test', 'data.test']
  const exim = await startExim({
    domains,
    addresses: ['127.0.0.1', '127.0.0.2'],
    parameters: {
      // More of one connection would be left for a queue run.
      smtp_accept_queue_per_connection: '0',
      chunking_advertise_hosts: '$' + '{if eq{$received_ip_address}{127.0.0.2}{}{*}}',
    },
  })
  t.after(() => exim.stop())
  const zones = [zone('chunking.test', '127.0.0.1'), zone('data.test', '127.0.0.2')]
  const deployment = await deploy(t, { smtpPort: exim.port, zones })
  const wanted = await checkOnward(
    t,
    deployment,
    domains.map(domain => `bob@${domain}`),
  )
  const messages = await awaitMessages(exim.maildir, wanted.length)
  assert.deepEqual(stored(messages.map(({ octets }) => sentPart(octets))), wanted)
  const taken = exim.log().match(/^.* <= .*$/gm) ?? []
  assert.equal(taken.length, wanted.length)
  assert.equal(taken.filter(line => / K /.test(line)).length, wanted.length / 2, 'half of them by BDAT')
})
