/**
 * TLS reports as others get them: mail that Python reads, an HTTPS server that takes a POST, and the way through the signer
 * to a real SMTP server, with a signature that dkimpy verifies.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { Networks } from '../../src/net/networks.ts'
import { Peer } from '../../src/net/peer.ts'
import type { KeyPair } from '../../src/net/tls.ts'
import { silent } from '../../src/observe/event.ts'
import { reportMail, reportMailId } from '../../src/relay/tls-report/mail.ts'
import type { Failure } from '../../src/relay/tls-report/outcome.ts'
import { reportPoster } from '../../src/relay/tls-report/post.ts'
import { buildReport, filenameOf, gzip, reportIdOf } from '../../src/relay/tls-report/report.ts'
import { submitterOf } from '../../src/relay/tls-report/reports.ts'
import { Tally } from '../../src/relay/tls-report/tally.ts'
import { parseMailbox } from '../../src/smtp/path.ts'
import { publishedKey, sinkPart } from '../e2e/arrival.ts'
import { DOMAIN, deploy, pairOf } from '../e2e/deployment.ts'
import { verifyWithDkimpy } from '../peers/dkimpy.ts'
import { type HttpsScript, startHttpsServer } from '../peers/https-server.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'

const PYTHON = '/usr/bin/python3'
const PROGRAM = `
import email, email.policy, gzip, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTPUTF8)
text, report = message.get_payload()
print(json.dumps({
    'defects': [repr(defect) for part in message.walk() for defect in part.defects],
    'type': message.get_content_type(), 'reportType': message.get_param('report-type'),
    'fields': {name.lower(): str(value) for name, value in message.items()},
    'textType': text.get_content_type(), 'text': text.get_content(),
    'partType': report.get_content_type(), 'filename': report.get_filename(), 'disposition': report.get_content_disposition(),
    'report': json.loads(gzip.decompress(report.get_content())),
}))
`

interface Read {
  readonly defects: string[]
  readonly type: string
  readonly reportType: string
  readonly fields: Readonly<Record<string, string>>
  readonly textType: string
  readonly text: string
  readonly partType: string
  readonly filename: string
  readonly disposition: string
  readonly report: unknown
}

const SUBJECT = { day: '2026-11-21', domain: 'internet.test' }
const FAILURE: Failure = { type: 'certificate-expired', receivingMx: 'mx.internet.test' }
const US = { domain: DOMAIN, postmaster: `postmaster@${DOMAIN}`, hostname: `mail.${DOMAIN}` }

async function made(to: readonly string[], us = US, failures = 1) {
  const submitter = submitterOf(us)
  const tally = new Tally(SUBJECT.domain)
  const policy = { type: 'no-policy-found', strings: [], mxHosts: [] } as const
  for (let n = 0; n < 3; n++) tally.note({ policy, result: 'success' })
  // Different ones: so many that the part has many lines.
  for (let n = 0; n < failures; n++)
    tally.note({ policy, result: { ...FAILURE, receivingIp: `192.0.2.${n}` } })
  const reportId = reportIdOf(SUBJECT, submitter)
  const report = buildReport(tally.counts(), SUBJECT, submitter, reportId)
  const mail = reportMail({
    id: reportMailId(Date.UTC(2026, 10, 22), new Uint8Array(10)),
    subject: SUBJECT,
    reportId,
    filename: filenameOf(SUBJECT, submitter, 'af'),
    zipped: await gzip(report),
    counts: tally.counts(),
    to: to.map(address => parseMailbox(address, { utf8: true })),
    submitter: submitter.contact.slice(submitter.contact.lastIndexOf('@') + 1),
    postmaster: parseMailbox(us.postmaster, { utf8: true }),
    hostname: us.hostname,
    nowMs: Date.UTC(2026, 10, 22, 3),
  })
  return { report, mail }
}

async function readByPython(content: Uint8Array): Promise<Read> {
  const { code, output } = await run(PYTHON, ['-c', PROGRAM], { input: content })
  assert.equal(code, 0, output)
  return JSON.parse(output) as Read
}

test('Python reads a report (RFC 8460 §5.3)', async t => {
  if (!need(t, PYTHON)) return
  const { report, mail } = await made(['tls@internet.test', 'other@reports.test'], US, 40)
  for (const line of Buffer.from(mail.content).toString('latin1').split('\r\n'))
    assert.ok(line.length <= 998 && /^[\x20-\x7e\t]*$/.test(line), line)
  const read = await readByPython(mail.content)
  assert.deepEqual(read.defects, [])
  assert.deepEqual([read.type, read.reportType], ['multipart/report', 'tlsrpt'])
  const { fields } = read
  assert.equal(fields.from, 'TLS reports <postmaster@example.test>')
  assert.equal(fields.to, 'tls@internet.test, other@reports.test')
  assert.equal(
    fields.subject,
    'Report Domain: internet.test Submitter: example.test Report-ID: <2026-11-21.internet.test@mail.example.test>',
  )
  assert.equal(fields['tls-report-domain'], 'internet.test')
  assert.equal(fields['tls-report-submitter'], 'example.test')
  assert.equal(fields['tls-required'], 'No')
  assert.equal(fields['auto-submitted'], 'auto-generated')
  assert.equal(fields.date, 'Sun, 22 Nov 2026 03:00:00 +0000')
  assert.match(fields['message-id'] ?? '', /^<[0-9A-Z]{26}tlsrpt@mail\.example\.test>$/)
  assert.equal(read.textType, 'text/plain')
  assert.match(read.text, /no policy: 3 sessions succeeded, 40 failed/)
  assert.equal(read.partType, 'application/tlsrpt+gzip')
  assert.equal(read.disposition, 'attachment')
  assert.equal(read.filename, 'example.test!internet.test!1795219200!1795305599!af.json.gz')
  assert.deepEqual(read.report, report)
})

test('addresses beyond ASCII: the domain of the postmaster as A-labels, a recipient as he is', async t => {
  if (!need(t, PYTHON)) return
  const plain = await made(['tls@internet.test'], { ...US, postmaster: 'postmaster@bücher.example' })
  const read = await readByPython(plain.mail.content)
  assert.equal(read.fields['tls-report-submitter'], 'xn--bcher-kva.example')
  assert.match(read.fields.from ?? '', /<postmaster@xn--bcher-kva\.example>$/)
  assert.match(read.filename, /^xn--bcher-kva\.example!/)
  const { mail } = await made(['jörg@internet.test'])
  assert.equal(mail.message.envelope.smtputf8, true)
  const other = await readByPython(mail.content)
  assert.deepEqual([other.defects, other.fields.to], [[], 'jörg@internet.test'])
})

const TYPE = 'application/tlsrpt+gzip'
/** Never aborted. */
const ALWAYS = new AbortController().signal
const LOOPBACK = new Networks(['127.0.0.0/8'])

async function reporting(t: TestContext, script: HttpsScript, names: readonly [string, ...string[]]) {
  const authority = await makeAuthority('test')
  const pair: KeyPair = await issue(authority, { names })
  const server = await startHttpsServer(pair, { script })
  t.after(() => server.stop())
  const resolver = {
    addresses: async (name: string) => ({
      kind: 'answer' as const,
      records: [{ address: '127.0.0.1', family: 4 as const }],
      ...{ ttlSeconds: 1, authenticated: false, name },
    }),
  }
  const options = { resolver, privateNetworks: LOOPBACK, ca: authority.certificate }
  const url = `https://reports.internet.test:${server.port}/v1/tls?key=a`
  return { server, options, url }
}

test('HTTPS: POST to a real server (RFC 8460 §5.4)', async t => {
  const got: { type: string | undefined; octets: Buffer }[] = []
  const { server, options, url } = await reporting(
    t,
    (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        got.push({ type: request.headers['content-type'], octets: Buffer.concat(chunks) })
        response.writeHead(201, { 'content-length': '2' }).end('ok')
      })
    },
    ['reports.internet.test'],
  )
  const { report } = await made([])
  const answer = await reportPoster(options)(url, TYPE, await gzip(report), ALWAYS)
  assert.equal(answer.status, 201)
  assert.deepEqual(server.requests, [`POST reports.internet.test:${server.port} /v1/tls?key=a`])
  assert.deepEqual(server.names, ['reports.internet.test'])
  assert.equal(got[0]?.type, TYPE)
  assert.deepEqual(JSON.parse(gunzipSync(got[0]?.octets ?? '').toString()), report)
})

test('HTTPS: a redirect is not followed', async t => {
  const elsewhere = { status: 307, headers: { location: '/elsewhere' } }
  const { server, options, url } = await reporting(t, elsewhere, ['reports.internet.test'])
  assert.equal((await reportPoster(options)(url, TYPE, Buffer.from('x'), ALWAYS)).status, 307)
  assert.equal(server.requests.length, 1)
})

test('HTTPS: a certificate of another name, and an address inside: nothing is sent', async t => {
  const { server, options, url } = await reporting(t, { status: 200 }, ['other.internet.test'])
  const post = (change: Partial<typeof options> = {}, signal = ALWAYS) =>
    reportPoster({ ...options, ...change })(url, TYPE, Buffer.from('x'), signal)
  await assert.rejects(post(), /certificate is .*not for reports\.internet\.test/)
  await assert.rejects(
    post({ privateNetworks: new Networks([]) }),
    /no address on the Internet: 127\.0\.0\.1/,
  )
  assert.deepEqual(server.requests, [])
})

test('by way of the signer to a real server: signed, and known for a report on its way out', async t => {
  if (!need(t, 'smtp-sink', 'python3')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { smtpPort: sink.port, services: ['relay', 'signer'] })
  const signer = new Peer({
    endpoint: deployment.config.relay.signer,
    role: 'signer',
    pair: await pairOf(deployment, 'relay'),
    ca: deployment.authority.certificate,
    hostname: 'relay',
    ...{ waitMs: 20_000, replyMs: 20_000, maxConnections: 1, log: silent },
  })
  t.after(() => signer.close())
  const { mail, report } = await made(['tls@internet.test'])
  const answer = await signer.deliver(mail.message.envelope, [mail.content])
  assert.equal(answer.code, 250, answer.lines.join(' '))
  const id = mail.message.envelope.xptt?.id
  const { fields } = await deployment.event('delivered', happening => happening.fields.id === id)
  assert.deepEqual(fields.recipients, ['tls@internet.test'])
  const [dump = '', ...others] = sink.messages()
  assert.deepEqual(others, [])
  const message = sinkPart(dump)
  // RFC 8460 §5.3: "These additional headers SHOULD be included in the DKIM signature".
  const signed = /\bh=([^;]+);/.exec(message.toString('latin1'))?.[1]?.replace(/\s/g, '').split(':') ?? []
  for (const name of ['TLS-Report-Domain', 'TLS-Report-Submitter']) assert.ok(signed.includes(name), name)
  assert.deepEqual(await verifyWithDkimpy([message], await publishedKey(deployment)), ['pass'])
  assert.deepEqual((await readByPython(message)).report, report)
})
