/**
 * Codecs whose own tests are tables: any input is a value or the codec's own error, and what is written is read as it was.
 * Those of smtp/ and message/ have such properties beside their tables.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseKeyRecord } from '../../src/dkim/key-record.ts'
import { parseAddress, reverseName } from '../../src/dns/address.ts'
import type { ResourceRecord } from '../../src/dns/message.ts'
import { txtStrings } from '../../src/dns/rdata.ts'
import { parseSpf, SpfError } from '../../src/dns/spf.ts'
import {
  appendTsigError,
  formatTsigKey,
  parseTsigKey,
  signMessage,
  splitTsig,
  TsigKeyError,
  verifyTsig,
} from '../../src/dns/tsig.ts'
import { type Change, decodeUpdate, encodeUpdate, type Prerequisite } from '../../src/dns/update.ts'
import { FormatError } from '../../src/dns/wire.ts'
import { SmtpError } from '../../src/smtp/error.ts'
import { parseClientFinal, parseClientFirst, parseServerFinal } from '../../src/smtp/sasl/scram.ts'
import { attempt } from './target.ts'

const seed = 1035
const name = fc.stringMatching(/^[a-z0-9_-]{1,12}\.example\.com$/)
const secret = fc.uint8Array({ minLength: 16, maxLength: 64 }).map(octets => Buffer.from(octets))
const record = fc
  .tuple(name, fc.string({ maxLength: 300 }))
  .map(([name, text]): ResourceRecord & { readonly type: 'TXT' } => {
    return { name, type: 'TXT', class: 'IN', ttlSeconds: 0, data: txtStrings(text) }
  })

const prerequisite = fc
  .oneof(
    fc.record({ kind: fc.constantFrom('name is in use', 'name is not in use'), name }),
    fc.record({
      kind: fc.constantFrom('rrset exists', 'rrset does not exist'),
      name,
      type: fc.constant('TXT'),
    }),
  )
  .map(each => ({ ...each })) as fc.Arbitrary<Prerequisite>
const change = fc
  .oneof(
    fc.record({ kind: fc.constant('delete name'), name }),
    fc.record({ kind: fc.constant('delete rrset'), name, type: fc.constant('TXT') }),
    fc.record({ kind: fc.constant('add'), record }),
    record.map(record => ({ kind: 'delete record', record: { ...record, class: 'NONE' } })),
  )
  .map(each => ({ ...each })) as fc.Arbitrary<Change>

test('an UPDATE is read as it was written (RFC 2136 §2); any octets are one, an answer or a FormatError', () => {
  fc.assert(
    fc.property(
      fc.array(prerequisite, { maxLength: 3 }),
      fc.array(change, { maxLength: 4 }),
      (asked, changes) => {
        const update = { zone: 'example.com', prerequisites: asked, changes }
        const read = decodeUpdate(encodeUpdate(7, update))
        assert.equal(read.kind, 'update')
        if (read.kind === 'update') assert.deepEqual(read.update, update)
      },
    ),
    { seed },
  )
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 80 }), octets => {
      attempt(() => decodeUpdate(Buffer.from(octets)), FormatError)
      attempt(() => splitTsig(Buffer.from(octets)), FormatError)
    }),
    { seed, numRuns: 2000 },
  )
})

test('a TSIG is read as it was written, and not when a bit is turned (RFC 8945 §5.2)', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 3 }), secret, fc.nat(), (changes, secret, at) => {
      const key = { name: 'x.example.com', algorithm: 'hmac-sha256', secret } as const
      const message = encodeUpdate(7, { zone: 'example.com', prerequisites: [], changes })
      const { octets } = signMessage(message, key, { timeSeconds: 1e9 })
      const split = splitTsig(octets)
      assert.deepEqual(split?.message, message)
      const verify = (message: Buffer) => split && verifyTsig(message, split.tsig, key, { timeSeconds: 1e9 })
      assert.equal(verify(message), 'ok')
      const turned = Buffer.from(message)
      const place = at % turned.length
      turned[place] = (turned[place] ?? 0) ^ 1
      assert.equal(verify(turned), 'BADSIG')
    }),
    { seed },
  )
})

test('a TSIG of an algorithm with odd labels is answered with the same one', () => {
  const message = encodeUpdate(7, { zone: 'example.com', prerequisites: [], changes: [] })
  const { octets } = signMessage(message, parseTsigKey('x.example.com:hmac-sha256:c2VjcmV0'), {
    timeSeconds: 1e9,
  })
  const tsig = splitTsig(octets)?.tsig
  assert.ok(tsig !== undefined)
  for (const algorithm of ['a\\.b', 'hmac\\\\-sha256', '\\255.example']) {
    const answer = appendTsigError(message, { ...tsig, algorithm }, 'BADKEY')
    assert.equal(splitTsig(answer)?.tsig.algorithm, algorithm)
  }
})

test('a TSIG key is read as it was written; any text is one or a TsigKeyError', () => {
  fc.assert(
    fc.property(name, secret, (name, secret) => {
      const key = { name, algorithm: 'hmac-sha512', secret } as const
      assert.deepEqual(parseTsigKey(formatTsigKey(key)), key)
    }),
    { seed },
  )
  const piece = fc.constantFrom(
    'key',
    ' ',
    '{',
    '}',
    ';',
    '"',
    ':',
    'x.example',
    'algorithm',
    'hmac-sha256',
    'c2V=',
    '\\',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), pieces => {
      attempt(() => parseTsigKey(pieces.join('')), TsigKeyError)
    }),
    { seed, numRuns: 2000 },
  )
})

test('any text is a key record or none, an SPF record or an SpfError, an address or none', () => {
  const piece = fc
    .constantFrom(
      'v=DKIM1',
      'v=spf1 ',
      ';',
      ' ',
      'k=rsa',
      'p=',
      'AAAA',
      't=s',
      'ip4:',
      'a/',
      '//',
      '192.0.2.1',
      '::',
    )
    .chain(word => fc.constantFrom(word, word.toUpperCase(), `${word}\0`))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const text = pieces.join('')
      parseKeyRecord(text)
      attempt(() => parseSpf(text), SpfError)
      const address = parseAddress(text)
      assert.ok(address === null || reverseName(address).endsWith('.arpa'))
    }),
    { seed, numRuns: 2000 },
  )
})

test('any text is a message of SCRAM, none, or an SmtpError (RFC 5802 §7)', () => {
  const piece = fc.constantFrom(
    'n',
    'y',
    'p=tls-exporter',
    ',',
    'a=',
    'm=',
    'n=user',
    'r=',
    'c=biws',
    'p=',
    'v=',
    'e=',
    'AAAA',
    '=2C',
    'é',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), pieces => {
      const text = pieces.join('')
      attempt(() => parseClientFirst(text), SmtpError)
      attempt(() => parseClientFinal(text), SmtpError)
      attempt(() => parseServerFinal(text), SmtpError)
    }),
    { seed: 5802, numRuns: 2000 },
  )
})
