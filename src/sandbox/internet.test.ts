import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { selfSigned } from '../cli/authority.ts'
import { formatKeyRecord } from '../dkim/key-record.ts'
import { MessageSigner } from '../dkim/sign.ts'
import { Connection } from '../net/connection.ts'
import { Resolver } from '../net/resolver.ts'
import { opportunisticTls } from '../net/tls.ts'
import { type TransactionReplies, deliver as transact } from '../net/transaction.ts'
import { silent } from '../observe/event.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { type DnsServer, startDnsServer } from './dns-server.ts'
import { type Delivery, type Internet, startInternet } from './internet.ts'
import { readMaildir } from './maildir.ts'

const HOST = 'mx.internet.test'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const folder = mkdtempSync(join(tmpdir(), 'ptt-internet-'))
const deliveries: Delivery[] = []
let dns: DnsServer
let resolver: Resolver
let internet: Internet

before(async () => {
  const records = [{ name: 's._domainkey', type: 'TXT' as const, data: formatKeyRecord(privateKey) }]
  dns = await startDnsServer({ zones: [{ origin: 'example.test', records }], log: silent })
  resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: dns.port }] })
  internet = await start(resolver)
})

after(async () => {
  await internet.close()
  resolver.close()
  await dns.close()
  rmSync(folder, { recursive: true })
})

async function start(keys: Resolver, slowMs = 0): Promise<Internet> {
  return startInternet({
    port: 0,
    hostname: HOST,
    maildir: folder,
    certificate: await selfSigned([HOST]),
    resolver: keys,
    log: silent,
    onDelivery: delivery => deliveries.push(delivery),
    slowMs,
  })
}

const MESSAGE = [
  'From: alice@example.test',
  'To: bob@internet.test',
  'Subject: Hello',
  'Message-ID: <1@example.test>',
  '',
  'Hello Bob',
  '.',
  '',
].join('\r\n')

async function signature(selector: string): Promise<string> {
  const key = { signingDomain: 'example.test', selector, algorithm: 'rsa-sha256', privateKey } as const
  const signer = new MessageSigner([key], { timestampSeconds: Math.floor(Date.now() / 1000) })
  signer.update(Buffer.from(MESSAGE))
  return Buffer.from(await signer.finish()).toString()
}

async function deliver(
  message: string,
  to: readonly string[] = ['bob'],
  port = internet.port,
): Promise<TransactionReplies> {
  const connection = await Connection.open({
    host: '127.0.0.1',
    port,
    hostname: 'relay.example.test',
    tls: { mode: 'required', options: opportunisticTls(HOST) },
    timeouts: TIMEOUTS,
    connectMs: 5_000,
  })
  const envelope = {
    reversePath: { localPart: 'alice', domain: 'example.test' },
    recipients: to.map(localPart => ({ forwardPath: { localPart, domain: 'internet.test' } })),
    body: '7BIT',
    smtputf8: false,
  } as const
  try {
    return await transact(connection, envelope, [Buffer.from(message)])
  } finally {
    connection.quit()
  }
}

function lastDelivery(): Delivery {
  const delivery = deliveries.at(-1)
  assert.ok(delivery)
  return delivery
}

test('a signed message is stored as it came below what the MX has to say of it', async () => {
  const message = (await signature('s')) + MESSAGE
  const { message: answer } = await deliver(message)
  assert.equal(answer?.code, 250)
  const delivery = lastDelivery()
  assert.equal(delivery.verdict.dkim, 'pass')
  assert.equal(delivery.verdict.signingDomain, 'example.test')
  assert.equal(delivery.messageId, '<1@example.test>')
  const stored = readFileSync(delivery.path, 'latin1')
  assert.ok(stored.endsWith(message), stored)
  const trace = stored.slice(0, -message.length)
  assert.match(
    trace,
    /^Return-Path: <alice@example\.test>\r\nDelivered-To: bob@internet\.test\r\nAuthentication-Results: mx\.internet\.test;\r\n\tdkim=pass .*header\.d=example\.test.*\r\nReceived: from relay\.example\.test \(\[127\.0\.0\.1\]\)/,
  )
  assert.match(trace, /with ESMTPS .*tls TLS_/s)
})

const verdicts: [what: string, message: () => Promise<string>, dkim: string, comment: RegExp][] = [
  ['not signed', async () => MESSAGE, 'none', /not signed/],
  [
    'changed on the way',
    async () => (await signature('s')) + MESSAGE.replace('Bob\r\n', 'Eve\r\n'),
    'fail',
    /hash/,
  ],
  [
    'with a subject that was changed',
    async () => (await signature('s')) + MESSAGE.replace('Subject: Hello', 'Subject: Buy'),
    'fail',
    /bad signature/,
  ],
  [
    'signed with a key that is not in DNS',
    async () => (await signature('other')) + MESSAGE,
    'neutral',
    /no key/,
  ],
]

for (const [what, message, dkim, comment] of verdicts) {
  test(`a message ${what} is taken, with dkim=${dkim}`, async () => {
    const { message: answer } = await deliver(await message())
    assert.equal(answer?.code, 250)
    assert.equal(lastDelivery().verdict.dkim, dkim)
    assert.match(lastDelivery().verdict.comment, comment)
  })
}

test('a key that cannot be asked for now is a temporary error', async () => {
  const dead = new Resolver({
    servers: [{ host: '127.0.0.1', port: internet.port }],
    timeoutMs: 20,
    attempts: 1,
  })
  const blind = await start(dead)
  await deliver((await signature('s')) + MESSAGE, ['bob'], blind.port)
  assert.equal(lastDelivery().verdict.dkim, 'temperror')
  await blind.close()
  dead.close()
})

test('each recipient gets a copy', async () => {
  const before = readMaildir(folder).length
  await deliver(MESSAGE, ['carol', 'dan'])
  const copies = readMaildir(folder).slice(before)
  assert.deepEqual(
    copies.map(({ octets }) => /^Delivered-To: (.*)\r$/m.exec(octets.toString())?.[1]).toSorted(),
    ['carol@internet.test', 'dan@internet.test'],
  )
})

test('what the message says of itself in our name is taken out (RFC 8601 §5)', async () => {
  const forged = `Authentication-Results: ${HOST}; dkim=pass\r\nAuthentication-Results: other.test; dkim=fail\r\n`
  await deliver(forged + MESSAGE)
  const fields = readFileSync(lastDelivery().path, 'latin1').match(/^Authentication-Results: \S+/gm)
  assert.deepEqual(fields, [`Authentication-Results: ${HOST};`, 'Authentication-Results: other.test;'])
})

const refusals: [localPart: string, replies: string[]][] = [
  ['bounce', ['550 5.1.1', '550 5.1.1']],
  ['Defer', ['451 4.3.0', '451 4.3.0']],
  ['greylist', ['451 4.7.1', '250 2.1.5']],
]

for (const [localPart, expected] of refusals) {
  test(`${localPart}@ is answered ${expected.join(', then ')}`, async () => {
    for (const reply of expected) {
      const { recipients } = await deliver(MESSAGE, [localPart])
      assert.equal(`${recipients[0]?.code} ${recipients[0]?.status}`, reply)
    }
  })
}

test('a header that is none is refused', async () => {
  const { message } = await deliver('no header\r\n\r\nbody\r\n')
  assert.equal(message?.code, 554)
})

test('slow@ is told 451 when the end comes first', async () => {
  const slow = await start(resolver, 1e6)
  const before = deliveries.length
  const socket = connect(slow.port, '127.0.0.1')
  const replies = createInterface(socket)[Symbol.asyncIterator]()
  const say = async (command: string, expected: string) => {
    socket.write(command)
    for (;;) {
      const { value = '' } = await replies.next()
      if (value[3] === '-') continue
      assert.ok(value.startsWith(expected), value)
      return
    }
  }
  await say('', '220')
  await say('EHLO relay.example.test\r\n', '250')
  await say('MAIL FROM:<alice@example.test>\r\n', '250')
  await say('RCPT TO:<slow@internet.test>\r\n', '250')
  await say('DATA\r\n', '354')
  const closed = slow.close()
  await say(`${MESSAGE.replace('\r\n.\r\n', '\r\n..\r\n')}.\r\n`, '451 4.3.2')
  await closed
  assert.equal(deliveries.length, before)
})
