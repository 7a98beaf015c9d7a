import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Asked, startScriptedDns } from '../../test/peers/scripted-dns.ts'
import { encodeMessage, type MessageParts, OPCODE, type ResourceRecord } from '../dns/message.ts'
import { txtStrings } from '../dns/rdata.ts'
import {
  appendTsigError,
  parseTsigKey,
  type SignOptions,
  signMessage,
  splitTsig,
  TSIG_ERROR,
  type Tsig,
} from '../dns/tsig.ts'
import { decodeUpdate, type Update } from '../dns/update.ts'
import { askPrimary, sendUpdate, type UpdateOptions, type UpdateOutcome } from './nsupdate.ts'

const NOW = 1_800_000_000
const key = parseTsigKey('x.example:hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=')
const stranger = { ...key, secret: Buffer.alloc(32) }
const record: ResourceRecord = {
  ...{ name: 'ptt._domainkey.example.com', type: 'TXT', class: 'IN', ttlSeconds: 60 },
  data: txtStrings('v=DKIM1; p=AAAA'),
}
const update: Update = {
  zone: 'example.com',
  prerequisites: [{ kind: 'rrset does not exist', name: record.name, type: 'TXT' }],
  changes: [{ kind: 'add', record }],
}

/** What a server makes of a request, as `scripted-dns` does not see TSIG. */
interface Request {
  readonly id: number
  readonly tsig: Tsig
}
type Reply = (request: Request) => Buffer

function unsigned(request: Request, parts: MessageParts = {}): Buffer {
  return encodeMessage({ id: request.id, opcode: OPCODE.UPDATE, response: true, ...parts })
}

function signed(
  request: Request,
  parts: MessageParts = {},
  options: Partial<SignOptions> = {},
  by = key,
): Buffer {
  const how = { timeSeconds: NOW, requestMac: request.tsig.mac, ...options }
  return signMessage(unsigned(request, parts), by, how).octets
}

async function exchange(
  t: TestContext,
  replies: Reply[],
  options: UpdateOptions = {},
): Promise<UpdateOutcome> {
  const server = await startScriptedDns(({ octets, query }: Asked) => {
    const split = splitTsig(octets)
    assert.ok(split !== null)
    assert.deepEqual(decodeUpdate(split.message), { kind: 'update', update })
    return replies.map(reply => reply({ id: query.id, tsig: split.tsig }))
  })
  t.after(() => server.stop())
  return sendUpdate(server.endpoint, update, key, { now: () => NOW * 1000, timeoutMs: 5000, ...options })
}

const outcomes: [what: string, reply: Reply, expected: object][] = [
  ['signed NOERROR: done', request => signed(request), { kind: 'done' }],
  [
    'signed refusal',
    request => signed(request, { rcode: 'REFUSED' }),
    { kind: 'refused', code: 'REFUSED', authenticated: true },
  ],
  ['signed YXRRSET', request => signed(request, { rcode: 'YXRRSET' }), { kind: 'refused', code: 'YXRRSET' }],
  [
    'signed, unknown RCODE',
    request => signed(request, { rcode: 'RCODE11' }),
    { kind: 'refused', code: 'RCODE11' },
  ],
  ['unsigned NOERROR: not believed', request => unsigned(request), { kind: 'failure', code: 'BADREPLY' }],
  [
    'unsigned REFUSED',
    request => unsigned(request, { rcode: 'REFUSED' }),
    { kind: 'failure', code: 'BADREPLY' },
  ],
  [
    'unsigned BADKEY (RFC 8945 §5.3.2)',
    request => appendTsigError(unsigned(request, { rcode: 'NOTAUTH' }), request.tsig, 'BADKEY'),
    { kind: 'refused', code: 'BADKEY', authenticated: false },
  ],
  [
    'unsigned BADSIG',
    request => appendTsigError(unsigned(request, { rcode: 'NOTAUTH' }), request.tsig, 'BADSIG'),
    { kind: 'refused', code: 'BADSIG', authenticated: false },
  ],
  [
    'unsigned BADTIME: it must be signed',
    request => appendTsigError(unsigned(request, { rcode: 'NOTAUTH' }), request.tsig, 'BADTIME'),
    { kind: 'failure', code: 'BADREPLY' },
  ],
  [
    'an unsigned TSIG under NOERROR',
    request => appendTsigError(unsigned(request), request.tsig, 'BADSIG'),
    { kind: 'failure', code: 'BADREPLY' },
  ],
  [
    'signed with another secret',
    request => signed(request, {}, {}, stranger),
    { kind: 'failure', code: 'BADREPLY' },
  ],
  [
    'signed as an answer to another request',
    request => signed(request, {}, { requestMac: Buffer.alloc(32) }),
    { kind: 'failure', code: 'BADREPLY' },
  ],
  [
    'signed by another key',
    request => signed(request, {}, {}, { ...key, name: 'y.example' }),
    { kind: 'failure', code: 'BADREPLY' },
  ],
  [
    'BADTIME, signed, with the time of the server',
    request => signed(request, { rcode: 'NOTAUTH' }, { error: TSIG_ERROR.BADTIME, other: time(NOW - 1000) }),
    { kind: 'refused', code: 'BADTIME', authenticated: true, offsetSeconds: -1000 },
  ],
  [
    'a reply from another time',
    request => signed(request, {}, { timeSeconds: NOW + 400 }),
    { kind: 'refused', code: 'BADTIME', offsetSeconds: 400 },
  ],
  [
    'signed BADTRUNC',
    request => signed(request, { rcode: 'NOTAUTH' }, { error: TSIG_ERROR.BADTRUNC }),
    { code: 'BADTRUNC' },
  ],
  ['a reply cut short', request => signed(request).subarray(0, -1), { kind: 'failure', code: 'BADREPLY' }],
]
for (const [what, reply, expected] of outcomes) {
  test(`update: ${what}`, async t => {
    const outcome = await exchange(t, [reply])
    assert.deepEqual({ ...outcome, ...expected }, outcome)
  })
}

test('update: over UDP a forged refusal is passed over, a signed reply counts (RFC 8945 §5.4)', async t => {
  const forged: Reply = request =>
    appendTsigError(unsigned(request, { rcode: 'NOTAUTH' }), request.tsig, 'BADKEY')
  const other: Reply = request => signed({ ...request, id: request.id ^ 1 })
  assert.deepEqual(await exchange(t, [other, forged, request => signed(request)], { transport: 'udp' }), {
    kind: 'done',
  })
})

test('update: over UDP an unsigned refusal is reported when nothing better comes', async t => {
  const refusal: Reply = request =>
    appendTsigError(unsigned(request, { rcode: 'NOTAUTH' }), request.tsig, 'BADKEY')
  const outcome = await exchange(t, [refusal], { transport: 'udp', timeoutMs: 200 })
  assert.equal(outcome.kind === 'refused' && outcome.code, 'BADKEY')
})

test('update: it has EDNS(0); a server that does not know it is told again without', async t => {
  const seen: (string | null)[] = []
  const server = await startScriptedDns(({ octets, query }: Asked) => {
    const split = splitTsig(octets)
    assert.ok(split !== null)
    seen.push(query.edns === null ? null : String(query.edns.udpPayloadOctets))
    const request = { id: query.id, tsig: split.tsig }
    return [query.edns === null ? signed(request) : unsigned(request, { rcode: 'FORMERR' })]
  })
  t.after(() => server.stop())
  assert.deepEqual(await sendUpdate(server.endpoint, update, key, { now: () => NOW * 1000 }), {
    kind: 'done',
  })
  assert.deepEqual(seen, ['1232', null])
})

test('update: a FORMERR of a server that knows EDNS is about the update', async t => {
  const edns = { udpPayloadOctets: 1232, dnssecOk: false, version: 0 }
  const outcome = await exchange(t, [request => signed(request, { rcode: 'FORMERR', edns })])
  assert.equal(outcome.kind === 'refused' && outcome.code, 'FORMERR')
})

test('update: truncated over UDP, told again over TCP (RFC 8945 §5.3)', async t => {
  const transports: string[] = []
  const server = await startScriptedDns(({ octets, query, transport }: Asked) => {
    const split = splitTsig(octets)
    assert.ok(split !== null)
    transports.push(transport)
    return [signed({ id: query.id, tsig: split.tsig }, { truncated: transport === 'udp' })]
  })
  t.after(() => server.stop())
  const how = { now: () => NOW * 1000, transport: 'udp' } as const
  assert.deepEqual(await sendUpdate(server.endpoint, update, key, how), { kind: 'done' })
  assert.deepEqual(transports, ['udp', 'tcp'])
  // What does not fit a datagram is not tried in one.
  const long = { ...record, data: txtStrings('x'.repeat(1300)) } as ResourceRecord
  await sendUpdate(server.endpoint, { ...update, changes: [{ kind: 'add', record: long }] }, key, how)
  assert.deepEqual(transports, ['udp', 'tcp', 'tcp'])
})

test('update: no answer is a failure', async t => {
  const silent = await exchange(t, [], { transport: 'udp', timeoutMs: 100 })
  assert.equal(silent.kind === 'failure' && silent.code, 'TIMEOUT')
  const closed = await exchange(t, [])
  assert.equal(closed.kind === 'failure' && closed.code, 'NETWORK')
})

test('update: nobody there is a failure; so is being told to stop', async () => {
  const gone = await startScriptedDns(() => [])
  await gone.stop()
  const outcome = await sendUpdate(gone.endpoint, update, key)
  assert.equal(outcome.kind === 'failure' && outcome.code, 'NETWORK')
  const stopped = await sendUpdate(gone.endpoint, update, key, { signal: AbortSignal.abort() })
  assert.equal(stopped.kind === 'failure' && stopped.code, 'CLOSED')
})

test('update: explanations name the server, the key, the record and what to do', async t => {
  const explanation = async (parts: MessageParts): Promise<string> => {
    const outcome = await exchange(t, [request => signed(request, parts)])
    return outcome.kind === 'refused' ? outcome.explanation : ''
  }
  const name = record.name.replaceAll('.', '\\.')
  assert.match(
    await explanation({ rcode: 'REFUSED' }),
    new RegExp(`^127\\.0\\.0\\.1:\\d+ does not let TSIG key 'x.example' change ${name}`),
  )
  assert.match(await explanation({ rcode: 'NOTZONE' }), new RegExp(`^${name} is not in zone example\\.com`))
  assert.match(await explanation({ rcode: 'YXRRSET' }), /somebody else writes it too/)
  assert.match(await explanation({ rcode: 'NXRRSET' }), /somebody else writes it too/)
  assert.match(await explanation({ rcode: 'SERVFAIL' }), /see its log/)
  assert.match(await explanation({ rcode: 'NOTIMP' }), /does not do dynamic updates/)
  assert.match(await explanation({ rcode: 'FORMERR' }), /report it/)
  assert.match(await explanation({ rcode: 'RCODE11' }), /RCODE11/)
})

test('primary: asked over TCP, without recursion; what is not its own is not believed', async t => {
  let authoritative = true
  const server = await startScriptedDns(() => [{ authoritative, answers: [record] }])
  t.after(() => server.stop())
  const found = await askPrimary(server.endpoint, record.name, 'TXT')
  assert.equal(found.kind, 'answer')
  assert.equal(server.asked[0]?.transport, 'tcp')
  assert.equal(server.asked[0]?.query.recursionDesired, false)
  authoritative = false
  const other = await askPrimary(server.endpoint, record.name, 'TXT')
  assert.equal(other.kind === 'failure' && other.code, 'NOTAUTH')
})

function time(seconds: number): Buffer {
  const octets = Buffer.alloc(6)
  octets.writeUIntBE(seconds, 0, 6)
  return octets
}
