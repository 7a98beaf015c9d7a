import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { encodeMessage, TYPE_TSIG } from './message.ts'
import { parseTsigKey, signMessage } from './tsig.ts'
import { TsigStream } from './tsig-stream.ts'
import { ARCOUNT_OFFSET, writeName, writeRecord } from './wire.ts'

const NOW = 1_800_000_000
const key = parseTsigKey('x.example:hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=')
const requestMac = Buffer.alloc(32, 7)

const plain = (id: number): Buffer => encodeMessage({ id, response: true, authoritative: true })
const first = signMessage(plain(1), key, { timeSeconds: NOW, requestMac })

/** A later message of a stream, signed as RFC 8945 §5.3.1 has it, written down here once more by hand. */
function next(message: Buffer, prior: Uint8Array, unsigned: Buffer[] = [], timeSeconds = NOW) {
  const timers = Buffer.alloc(8)
  timers.writeUIntBE(timeSeconds, 0, 6)
  timers.writeUInt16BE(300, 6)
  const length = Buffer.from([0, prior.length])
  const digest = createHmac('sha256', key.secret)
  for (const part of [length, prior, ...unsigned, message, timers]) digest.update(part)
  const mac = digest.digest()
  const rest = Buffer.from([0, mac.length, ...mac, message[0] ?? 0, message[1] ?? 0, 0, 0, 0, 0])
  const data = Buffer.concat([writeName(key.algorithm), timers, rest])
  const rdata = Buffer.concat([Buffer.from([data.length >> 8, data.length & 255]), data])
  const octets = Buffer.concat([message, writeRecord(key.name, TYPE_TSIG, 255, 0, rdata)])
  octets.writeUInt16BE(1, ARCOUNT_OFFSET)
  return { octets, mac }
}

test('TSIG stream: each MAC is over the one before it', () => {
  const stream = new TsigStream(key, requestMac)
  assert.equal(stream.covered, false)
  assert.deepEqual(stream.push(first.octets, NOW), { message: plain(1), verdict: 'ok' })
  const second = next(plain(2), first.mac)
  assert.equal(stream.push(second.octets, NOW).verdict, 'ok')
  assert.equal(stream.push(next(plain(3), second.mac).octets, NOW).verdict, 'ok')
  assert.equal(stream.covered, true)
})

test('TSIG stream: what is not signed counts once a later MAC covers it', () => {
  const unsigned = Array.from({ length: 99 }, (_, at) => plain(at + 2))
  const stream = new TsigStream(key, requestMac)
  stream.push(first.octets, NOW)
  for (const octets of unsigned) assert.equal(stream.push(octets, NOW).verdict, 'unsigned')
  assert.equal(stream.covered, false)
  assert.equal(stream.push(next(plain(200), first.mac, unsigned).octets, NOW).verdict, 'ok')
  assert.equal(stream.covered, true)
  // One of them is another than what was signed.
  const forged = new TsigStream(key, requestMac)
  forged.push(first.octets, NOW)
  for (const octets of unsigned.with(50, plain(999))) forged.push(octets, NOW)
  assert.equal(forged.push(next(plain(200), first.mac, unsigned).octets, NOW).verdict, 'BADSIG')
})

test('TSIG stream: the first is signed, and every hundredth at least', () => {
  assert.throws(() => new TsigStream(key, requestMac).push(plain(1), NOW), /first message is not signed/)
  const stream = new TsigStream(key, requestMac)
  stream.push(first.octets, NOW)
  for (let at = 0; at < 99; at++) stream.push(plain(at), NOW)
  assert.throws(() => stream.push(plain(100), NOW), /more than 99 messages/)
})

test('TSIG stream: a message left out, one of another answer, another key, another time', () => {
  const second = next(plain(2), first.mac)
  const third = next(plain(3), second.mac)
  const begin = (): TsigStream => {
    const stream = new TsigStream(key, requestMac)
    stream.push(first.octets, NOW)
    return stream
  }
  assert.equal(begin().push(third.octets, NOW).verdict, 'BADSIG')
  assert.equal(new TsigStream(key, Buffer.alloc(32)).push(first.octets, NOW).verdict, 'BADSIG')
  assert.equal(new TsigStream({ ...key, name: 'y' }, requestMac).push(first.octets, NOW).verdict, 'BADKEY')
  assert.equal(begin().push(second.octets, NOW + 301).verdict, 'BADTIME')
  // A message that is signed as if it were the first is none of a stream.
  const alone = signMessage(plain(2), key, { timeSeconds: NOW, requestMac: first.mac })
  assert.equal(begin().push(alone.octets, NOW).verdict, 'BADSIG')
})
