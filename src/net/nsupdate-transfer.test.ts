import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startScriptedDns } from '../../test/peers/scripted-dns.ts'
import { encodeMessage, type MessageParts, type ResourceRecord } from '../dns/message.ts'
import { txtStrings } from '../dns/rdata.ts'
import { appendTsigError, parseTsigKey, signMessage, splitTsig, type Tsig } from '../dns/tsig.ts'
import { type TransferOutcome, transferZone } from './nsupdate-transfer.ts'

const NOW = 1_800_000_000
const key = parseTsigKey('x.example:hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=')
const soa: ResourceRecord = {
  ...{ name: 'example.com', type: 'SOA', class: 'IN', ttlSeconds: 60 },
  data: {
    mname: 'ns.example.com',
    rname: 'h.example.com',
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 5,
  },
}
const txt: ResourceRecord = {
  ...{ name: 'a.example.com', type: 'TXT', class: 'IN', ttlSeconds: 60, data: txtStrings('x') },
}

interface Request {
  readonly id: number
  readonly tsig: Tsig
}
type Reply = (request: Request) => Buffer

const message = ({ id }: Request, parts: MessageParts): Buffer =>
  encodeMessage({
    ...{ id, response: true, authoritative: true },
    questions: [{ name: 'example.com', type: 'TYPE252', class: 'IN' }],
    ...parts,
  })
/** The first message, or the only one. */
const signed =
  (answers: ResourceRecord[], by = key): Reply =>
  request =>
    signMessage(message(request, { answers }), by, { timeSeconds: NOW, requestMac: request.tsig.mac }).octets
const unsigned =
  (parts: MessageParts): Reply =>
  request =>
    message(request, parts)

async function transfer(t: TestContext, replies: Reply[]): Promise<TransferOutcome> {
  const server = await startScriptedDns(({ octets, query, transport }) => {
    const split = splitTsig(octets)
    assert.ok(split !== null)
    assert.deepEqual([transport, query.questions[0]?.type], ['tcp', 'TYPE252'])
    return replies.map(reply => reply({ id: query.id, tsig: split.tsig }))
  })
  t.after(() => server.stop())
  const options = { now: () => NOW * 1000, timeoutMs: 300 }
  return transferZone(server.endpoint, 'example.com', key, options)
}

test('transfer: one message with all of it', async t => {
  assert.deepEqual(await transfer(t, [signed([soa, txt, soa])]), { kind: 'zone', records: [soa, txt] })
})

const outcomes: [what: string, replies: Reply[], code: string, reason: RegExp][] = [
  ['not signed', [unsigned({ answers: [soa, txt, soa] })], 'BADREPLY', /first message is not signed/],
  [
    'signed with another secret',
    [signed([soa, txt, soa], { ...key, secret: Buffer.alloc(32) })],
    'BADREPLY',
    /MAC does not verify: BADSIG/,
  ],
  ['no SOA at the beginning', [signed([txt, soa])], 'BADREPLY', /first record is no SOA/],
  ['more after the end', [signed([soa, soa, txt])], 'BADREPLY', /records after the last SOA/],
  // Whoever cuts the connection could otherwise cut the zone.
  ['no end', [signed([soa, txt])], 'TIMEOUT', /did not answer within/],
  [
    'an end that no MAC covers',
    [signed([soa, txt]), unsigned({ answers: [soa] })],
    'TIMEOUT',
    /did not answer/,
  ],
  [
    'refused',
    [unsigned({ rcode: 'REFUSED' })],
    'REFUSED',
    /does not give away the zone example\.com: REFUSED/,
  ],
  [
    'an unknown key',
    [request => appendTsigError(message(request, { rcode: 'NOTAUTH' }), request.tsig, 'BADKEY')],
    'BADKEY',
    /BADKEY/,
  ],
  ['not whole', [request => signed([soa, txt, soa])(request).subarray(0, -1)], 'BADREPLY', /malformed/],
]
for (const [what, replies, code, reason] of outcomes) {
  test(`transfer: ${what}`, async t => {
    const outcome = await transfer(t, replies)
    assert.ok(outcome.kind !== 'zone')
    assert.equal(outcome.code, code)
    assert.match(outcome.reason, reason)
    assert.match(outcome.reason, /^127\.0\.0\.1:\d+/)
  })
}
