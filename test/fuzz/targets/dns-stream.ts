/** DNS over TCP: messages out of a stream, and the MACs over an answer of several (RFC 8945 §5.3.1). */

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { TYPE_TSIG } from '../../../src/dns/message.ts'
import { parseTsigKey, signMessage, type TsigKey } from '../../../src/dns/tsig.ts'
import { TsigStream } from '../../../src/dns/tsig-stream.ts'
import { ARCOUNT_OFFSET, FormatError, writeName, writeRecord } from '../../../src/dns/wire.ts'
import { TcpFrames, tcpFrame } from '../../../src/net/dns-exchange.ts'
import { expected, sameHoweverCut, shape, type Target } from '../target.ts'

const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex')
const KEY = parseTsigKey(`x.example.com:hmac-sha256:${Buffer.alloc(32, 7).toString('base64')}`)
const WRONG = parseTsigKey(`x.example.com:hmac-sha256:${Buffer.alloc(32, 8).toString('base64')}`)
const REQUEST_MAC = Buffer.alloc(32, 9)
const NOW_SECONDS = 1_700_000_000
/** A header without records: what may be signed. */
const EMPTY = hex('1234 8400 0000 0000 0000 0000')

const frames: Target = {
  name: 'dns-tcp',
  words: [hex('0000'), hex('0001'), hex('000c'), hex('ffff'), Buffer.from(tcpFrame(EMPTY))],
  run(input) {
    return sameHoweverCut(input, pieces => {
      const parser = new TcpFrames()
      const messages = pieces.flatMap(piece => [...parser.push(piece)].map(message => Buffer.from(message)))
      const again = Buffer.concat(messages.map(message => tcpFrame(message)))
      assert.ok(again.equals(input.subarray(0, again.length)), 'in their order')
      // What is left is less than a message.
      const rest = input.subarray(again.length)
      assert.ok(rest.length < 2 || rest.length < 2 + rest.readUInt16BE(0))
      return messages.map(({ length }) => length).join()
    })
  },
  stream() {
    const parser = new TcpFrames()
    return chunk => {
      for (const message of parser.push(chunk)) assert.ok(message.length <= 0xffff)
    }
  },
}

/**
 * Each octet is a message of the answer, `octet % 8` how it comes: 0 garbage, 1 signed with another key, 2 signed and then
 * altered on its way, 3 without TSIG, 4 without TSIG and altered on its way, else signed in its turn. Only what the key's
 * holder has said is ever believed.
 */
const stream: Target = {
  name: 'dns-tsig-stream',
  words: [
    hex('05'),
    hex('03'),
    hex('0505'),
    hex('05030303030305'),
    hex('00'),
    hex('0502'),
    hex('04'),
    Buffer.alloc(99, 3),
  ],
  maxOctets: 300,
  run(input) {
    const reader = new TsigStream(KEY, REQUEST_MAC)
    const signer = new Signer()
    let forged = false
    let said = ''
    for (const [at, octet] of input.entries()) {
      const message = Buffer.from(EMPTY)
      message.writeUInt16BE(at, 0)
      const kind = octet % 8
      const octets = kind === 0 ? input : signer.next(kind, message)
      if (kind === 2 || kind === 4) octets[2] = (octets[2] ?? 0) ^ 1
      forged ||= kind < 3 || kind === 4
      try {
        const { verdict } = reader.push(octets, NOW_SECONDS)
        if (verdict !== 'ok' && verdict !== 'unsigned') return `${shape(said)} ${verdict}`
        assert.equal(reader.covered, verdict === 'ok')
        assert.ok(!forged || verdict === 'unsigned', 'what was forged is not believed')
        said = `${said}${verdict === 'ok' ? 'o' : 'u'}`.slice(-9)
      } catch (error) {
        return `${said} ${expected(error, FormatError)}`
      }
    }
    return `${said} ${reader.covered}`
  },
}

/** The other side: what it sends is signed in its turn, over what it has sent without since. */
class Signer {
  #mac: Uint8Array = REQUEST_MAC
  #unsigned: Buffer[] = []
  #first = true

  next(kind: number, message: Buffer): Buffer {
    if (kind === 3 || kind === 4) {
      this.#unsigned.push(Buffer.from(message))
      return message
    }
    const key = kind === 1 ? WRONG : KEY
    const { octets, mac } = this.#first
      ? signMessage(message, key, { timeSeconds: NOW_SECONDS, requestMac: REQUEST_MAC })
      : later(message, key, this.#mac, this.#unsigned)
    this.#mac = mac
    this.#unsigned = []
    this.#first = false
    return Buffer.from(octets)
  }
}

/** RFC 8945 §5.3.1, written down once more: the MAC before, what came without since, the message, time and fudge. */
function later(message: Buffer, key: TsigKey, prior: Uint8Array, unsigned: readonly Buffer[]) {
  const timers = Buffer.alloc(8)
  timers.writeUIntBE(NOW_SECONDS, 0, 6)
  timers.writeUInt16BE(300, 6)
  const digest = createHmac('sha256', key.secret)
  for (const part of [Buffer.from([0, prior.length]), prior, ...unsigned, message, timers])
    digest.update(part)
  const mac = digest.digest()
  const rest = Buffer.from([0, mac.length, ...mac, ...message.subarray(0, 2), 0, 0, 0, 0])
  const data = Buffer.concat([writeName(key.algorithm), timers, rest])
  const rdata = Buffer.concat([Buffer.from([data.length >> 8, data.length & 255]), data])
  const octets = Buffer.concat([message, writeRecord(key.name, TYPE_TSIG, 255, 0, rdata)])
  octets.writeUInt16BE(1, ARCOUNT_OFFSET)
  return { octets, mac }
}

export const dnsStreamTargets: readonly Target[] = [frames, stream]
