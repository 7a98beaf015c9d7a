/**
 * Messages as real programs write them, through all three services to two real receivers: each arrives as it was sent,
 * octet for octet, under what we add; and what arrived verifies with the key that is in DNS.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { endOfHeader, parseHeader } from '../../src/message/header.ts'
import { readMaildir } from '../../src/sandbox/maildir.ts'
import { corpus, type Sample, withAttachment } from '../corpus/corpus.ts'
import { verifyWithDkimpy } from '../peers/dkimpy.ts'
import { verifyWithMailauth } from '../peers/mailauth.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { verifyWithOpendkim } from '../peers/opendkim.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { publishedKey, sentPart, sinkPart } from './arrival.ts'
import { type Deployment, DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

const ours = ({ name, octets }: Sample): Sample => ({
  name,
  octets: Buffer.from(octets.toString('latin1').replaceAll('example.com', DOMAIN), 'latin1'),
})

const SAMPLES: readonly Sample[] = [
  ...corpus,
  // RFC 5321 §4.5.3.1.6: 1,000 octets with the CRLF.
  {
    name: 'lines of 998 octets',
    octets: Buffer.from(
      `From: a@${DOMAIN}\r\nSubject: ${'s'.repeat(989)}\r\n\r\n${'a'.repeat(998)}\r\n.${'b'.repeat(997)}\r\n`,
    ),
  },
  {
    name: 'no Date, no Message-ID',
    octets: Buffer.from(`From: a@${DOMAIN}\r\nTo: b@c.test\r\n\r\nText.\r\n`),
  },
].map(ours)
const LARGE = ours(withAttachment(10 * 1024 * 1024))

const isEightBit = ({ octets }: Sample): boolean => octets.some(octet => octet > 127)
const needsSmtputf8 = ({ octets }: Sample): boolean =>
  octets.subarray(0, endOfHeader(octets)).some(octet => octet > 127)

const MX = 'mx.internet.test'
const SINK = 'sink.internet.test'

function recipientsOf(sample: Sample): string[] {
  // smtp-sink has no SMTPUTF8.
  return needsSmtputf8(sample) ? [`用户@${MX}`] : [`bob@${MX}`, `bob@${SINK}`]
}

/** How a message is handed over; the reply to it. */
type Way = (t: TestContext, deployment: Deployment, sample: Sample) => Promise<string>

async function begin(t: TestContext, deployment: Deployment, sample: Sample) {
  const dialog = await signIn(t, deployment)
  const body = isEightBit(sample) ? ' BODY=8BITMIME' : ''
  await dialog.say(`MAIL FROM:<${USER}>${body}${needsSmtputf8(sample) ? ' SMTPUTF8' : ''}`, 250)
  for (const recipient of recipientsOf(sample)) await dialog.say(`RCPT TO:<${recipient}>`, 250)
  return dialog
}

/** In pieces of a prime number of octets. */
function* pieces(octets: Uint8Array, length: number): Generator<Uint8Array> {
  for (let at = 0; at < octets.length; at += length) yield octets.subarray(at, at + length)
}

const data: Way = async (t, deployment, sample) => {
  const dialog = await begin(t, deployment, sample)
  await dialog.say('DATA', 354)
  // RFC 5321 §4.5.2
  const stuffed = sample.octets.toString('latin1').replaceAll(/^\./gm, '..')
  for (const piece of pieces(Buffer.from(`${stuffed}.\r\n`, 'latin1'), 10_007)) dialog.send(piece)
  return dialog.expect(250, 'the message')
}

const bdat: Way = async (t, deployment, sample) => {
  const dialog = await begin(t, deployment, sample)
  // RFC 3030 §2: all chunks at once, the last one empty.
  let chunks = 0
  for (const piece of pieces(sample.octets, sample.octets.length > 100_000 ? 1_000_003 : 101)) {
    dialog.send(`BDAT ${piece.length}\r\n`)
    dialog.send(piece)
    chunks++
  }
  dialog.send('BDAT 0 LAST\r\n')
  for (; chunks > 0; chunks--) await dialog.expect(250, 'BDAT')
  return dialog.expect(250, 'BDAT LAST')
}

const byNodemailer: Way = async (_, deployment, sample) => {
  const submission = deployment.submission('', recipientsOf(sample))
  const { code, output } = await nodemailer(submission, sample.octets)
  assert.equal(code, 0, output)
  return output
}

test('every kind of message, whole, unchanged and signed', async t => {
  if (!need(t, 'smtp-sink', 'opendkim', 'dkimverify', '/usr/bin/python3') || !needPostfix(t)) return
  const postfix = await startPostfix({
    domains: [MX],
    parameters: {
      message_size_limit: '50000000',
      // Nothing is to be put right in mail from 127.0.0.1 either: it comes from far away here.
      local_header_rewrite_clients: '',
    },
  })
  t.after(() => postfix.stop())
  const sink = await startSmtpSink({ host: '127.0.0.2', port: postfix.port })
  t.after(() => sink.stop())
  const records = [
    { name: 'mx', type: 'A', data: '127.0.0.1' },
    { name: 'sink', type: 'A', data: '127.0.0.2' },
  ] as const
  const deployment = await deploy(t, {
    smtpPort: postfix.port,
    zones: [{ origin: 'internet.test', records }],
    // The samples are of many authors.
    senders: [`*@${DOMAIN}`],
  })

  const cases: [way: string, send: Way, sample: Sample][] = [
    ...SAMPLES.map((sample): [string, Way, Sample] => ['DATA', data, sample]),
    ...SAMPLES.map((sample): [string, Way, Sample] => ['BDAT', bdat, sample]),
    ...SAMPLES.map((sample): [string, Way, Sample] => ['nodemailer', byNodemailer, sample]),
    ['DATA', data, LARGE],
    ['BDAT', bdat, LARGE],
  ]
  const arrived: Buffer[] = []
  for (const [way, send, sample] of cases) {
    await t.test(`${sample.name} by ${way}`, async t => {
      const reply = await send(t, deployment, sample)
      const id = /Queued as (\w+)/.exec(reply)?.[1] ?? assert.fail(reply)
      for (const recipient of recipientsOf(sample)) {
        await deployment.event(
          'delivered',
          ({ fields }) => fields.id === id && (fields.recipients as readonly string[]).includes(recipient),
        )
      }
      const isIt = (stored: Buffer | string): boolean =>
        stored.includes(`\n\tid ${id}`) || stored.includes(` id ${id}`)
      await awaitMessages(postfix.maildir, arrived.length + 1)
      const there = readMaildir(postfix.maildir).filter(({ octets }) => isIt(octets))
      assert.equal(there.length, 1)
      const message = sentPart(there[0]?.octets ?? '')
      arrived.push(message)
      assertUnchanged(message, sample)
      if (needsSmtputf8(sample)) return
      const dumps = sink.messages().filter(isIt)
      assert.equal(dumps.length, 1)
      assert.ok(sinkPart(dumps[0] ?? '').equals(message), 'both receivers were sent the same')
    })
  }
  assert.equal(arrived.length, cases.length)

  const key = await publishedKey(deployment)
  const { port } = deployment.dns
  const verifiers: [name: string, verify: (messages: Buffer[]) => Promise<string[]>][] = [
    ['OpenDKIM', messages => verifyWithOpendkim(messages, key)],
    ['dkimpy', messages => verifyWithDkimpy(messages, key)],
    ['mailauth', messages => verifyWithMailauth(messages, DOMAIN, port)],
  ]
  for (const [name, verify] of verifiers) {
    await t.test(`${name} says pass`, async () => {
      const verdicts = await verify(arrived)
      assert.deepEqual(
        cases.map(([way, , sample], i) => `${sample.name} by ${way}: ${verdicts[i]}`),
        cases.map(([way, , sample]) => `${sample.name} by ${way}: pass`),
      )
    })
  }
})

/** What we add comes before the message, and nothing of it is in the message. */
function assertUnchanged(message: Buffer, { name, octets }: Sample): void {
  const added = message.subarray(0, message.length - octets.length)
  assert.ok(message.subarray(added.length).equals(octets), `${name} is not what was sent`)
  const had = parseHeader(octets).map(field => field.name.toLowerCase())
  const missing = ['Date', 'Message-ID'].filter(field => !had.includes(field.toLowerCase()))
  assert.deepEqual(
    parseHeader(Buffer.concat([added, Buffer.from('\r\n')])).map(field => field.name),
    ['DKIM-Signature', 'Received', ...missing],
  )
}
