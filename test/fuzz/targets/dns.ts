/** What `dns/` reads off the wire. */

import assert from 'node:assert/strict'
import { interpret } from '../../../src/dns/answer.ts'
import { decodeMessage, encodeMessage, type Message, type Question } from '../../../src/dns/message.ts'
import { canonicalName, isHostName, isInZone, NameError, sameName } from '../../../src/dns/name.ts'
import { isKnownType, type RecordType } from '../../../src/dns/rdata.ts'
import {
  appendTsigError,
  formatTsigKey,
  parseTsigKey,
  serverTime,
  signMessage,
  splitTsig,
  TsigKeyError,
  verifyTsig,
} from '../../../src/dns/tsig.ts'
import { readUpdate } from '../../../src/dns/update.ts'
import { FormatError, HEADER_OCTETS, readName, writeName } from '../../../src/dns/wire.ts'
import { attempt, type Target } from '../target.ts'

const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex')
const WORDS = [
  'c00c',
  'c000',
  '0000',
  '0001',
  '000f',
  '0010',
  '0006',
  '001c',
  '0029',
  '00fa',
  '00ff',
  '00fe',
  'ffff',
]
  .concat([
    '00',
    '03 777777',
    '07 6578616d706c65 03 636f6d 00',
    '3f',
    '40',
    'c0',
    '0001 0001',
    '00000e10',
    '0004 7f000001',
  ])
  .map(hex)

export const message: Target = {
  name: 'dns-message',
  words: WORDS,
  maxOctets: 1400,
  run(input) {
    const { value: read, error } = attempt(() => decodeMessage(input), FormatError)
    if (read === null) return error
    const question = read.questions[0]
    if (question !== undefined && isKnownType(question.type)) {
      const known = question as Question & { readonly type: RecordType }
      interpret(known, read)
    }
    const update = readUpdate(read)
    // Data that does not fit its type and may hold a pointer is kept, and cannot be written elsewhere.
    const { value: octets, error: unwritable } = attempt(() => encodeMessage(read), NameError)
    assert.ok(octets !== null || hasUnreadName(read), 'what was read can be written')
    if (octets !== null) assert.deepEqual(plain(decodeMessage(octets)), plain(read), 'read again')
    return `${read.rcode} ${read.opcode} ${read.answers.length} ${read.edns === null} ${update.kind} ${unwritable}`
  },
}

/** CNAME, NS, PTR, SOA, MX and SRV that could not be read. */
const WITH_NAMES = new Set<string>(['TYPE2', 'TYPE5', 'TYPE6', 'TYPE12', 'TYPE15', 'TYPE33'])

function hasUnreadName({ answers, authorities, additionals }: Message): boolean {
  return [answers, authorities, additionals].flat().some(({ type }) => WITH_NAMES.has(type))
}

/** Octets of the input are Buffers, of ours Uint8Arrays: the same. */
function plain(read: Message): unknown {
  return JSON.parse(JSON.stringify(read, (_, value) => (value instanceof Uint8Array ? [...value] : value)))
}

const KEY = parseTsigKey(`x._update.example.com:hmac-sha256:${Buffer.alloc(32, 7).toString('base64')}`)

export const tsig: Target = {
  name: 'dns-tsig',
  words: [...WORDS, hex('0b 686d61632d736861323536 00'), hex('0020'), hex('012c')],
  maxOctets: 1400,
  run(input) {
    const { value: split, error } = attempt(() => splitTsig(input), FormatError)
    if (split !== null) {
      serverTime(split.tsig)
      const options = { timeSeconds: split.tsig.timeSeconds }
      const { value: verdict, error: wrong } = attempt(
        () => verifyTsig(split.message, split.tsig, KEY, options),
        FormatError,
      )
      if (verdict !== 'ok' && verdict !== null && verdict !== 'BADTIME') {
        assert.ok(appendTsigError(split.message, split.tsig, 'BADSIG').length > split.message.length)
      }
      return `split ${verdict ?? wrong} ${split.tsig.mac.length}`
    }
    // Without a TSIG: one of ours verifies, and not a bit of it may be turned.
    if (error !== null || input.length < HEADER_OCTETS || input.readUInt16BE(10) === 0xffff) return `${error}`
    const { octets } = signMessage(input, KEY, { timeSeconds: 1e9 })
    const own = splitTsig(octets)
    assert.ok(own !== null)
    assert.deepEqual(own.message, input)
    assert.equal(verifyTsig(own.message, own.tsig, KEY, { timeSeconds: 1e9 }), 'ok')
    const turned = Buffer.from(own.message)
    turned[turned.length - 1] = (turned.at(-1) ?? 0) ^ 1
    assert.equal(verifyTsig(turned, own.tsig, KEY, { timeSeconds: 1e9 }), 'BADSIG')
    return 'signed'
  },
}

export const tsigKey: Target = {
  name: 'dns-tsig-key',
  words: [
    ':',
    'hmac-sha256',
    'hmac-sha512.',
    'x._update.example.com',
    'c2VjcmV0',
    '=',
    '.',
    '..',
    '\\058',
  ].concat([
    'key "x" {',
    'algorithm hmac-sha256;',
    'secret "c2VjcmV0";',
    '};',
    '{',
    '}',
    ';',
    '"',
    '/*',
    '*/',
    '//',
    '#',
    '\n',
    ' ',
  ]),
  run(input) {
    const { value: key, error } = attempt(() => parseTsigKey(input.toString()), TsigKeyError)
    if (key === null) return error
    assert.deepEqual(parseTsigKey(formatTsigKey(key)), key)
    return `${key.algorithm} ${key.name.split('.').length}`
  },
}

export const name: Target = {
  name: 'dns-name',
  words: ['.', '..', 'a'.repeat(63), 'a'.repeat(64), 'xn--', '_dmarc', '-', 'É', '\0', '*'].concat([
    '\\.',
    '\\\\',
    '\\065',
    '\\256',
    '\\',
  ]),
  run(input) {
    const text = input.toString()
    isHostName(text)
    const { value: canonical, error } = attempt(() => canonicalName(text), NameError)
    if (canonical === null) return error
    assert.equal(canonicalName(canonical), canonical)
    assert.ok(sameName(canonical, text) && sameName(text, canonical) && isInZone(text, canonical))
    assert.deepEqual(readName(writeName(canonical), 0).text, canonical)
    return `${canonical.split('.').length} ${isHostName(text)} ${canonical === text}`
  },
}

export const dnsTargets: readonly Target[] = [message, tsig, tsigKey, name]
