import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldsTaken } from '../../test/fields-taken.ts'
import { parseHeader } from '../message/header.ts'
import type { Mailbox } from '../smtp/path.ts'
import {
  canonicalizeFields,
  foldBase64,
  formatIdentity,
  formatUnsigned,
  headerHashInput,
  isWithin,
  type Signature,
} from './signature.ts'
import { parseTagList } from './tag-list.ts'

const header = parseHeader(
  Buffer.from('Received: <A>\r\nReceived: <B>\r\nFrom:  a@example.com\r\nReceived: <C>\r\nX:\r\n 1\r\n\r\n'),
)

const inputs: [names: string[], input: string][] = [
  // RFC 6376 §5.4.2: from the bottom to the top.
  [['Received', 'Received'], 'received:<C>\r\nreceived:<B>\r\n'],
  // RFC 6376 §5.4: a field that is not there is the null string.
  [['From', 'From', 'Subject'], 'from:a@example.com\r\n'],
  [['x', 'FROM', 'received'], 'x:1\r\nfrom:a@example.com\r\nreceived:<C>\r\n'],
]

for (const [names, input] of inputs)
  test(`header hash input of h=${names.join(':')}`, () => {
    const own = 'dkim-signature:v=1; b='
    const fields = canonicalizeFields(fieldsTaken(header, names), 'relaxed')
    assert.equal(`${headerHashInput(fields, 'DKIM-Signature: v=1;\r\n\tb=', 'relaxed')}`, input + own)
  })

const signature: Signature = {
  algorithm: 'rsa-sha256',
  signingDomain: 'example.com',
  selector: 'brisbane',
  canonicalization: ['relaxed', 'relaxed'],
  signedFields: ['From', 'From', 'To'],
  bodyHash: '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
  timestampSeconds: 1117574938,
  expirationSeconds: 1118006938,
}

test('the field: tags in order, no l=, no i=, b= last', () => {
  const tags = [...(parseTagList(formatUnsigned(signature).slice('DKIM-Signature:'.length)) ?? [])]
  assert.deepEqual(tags, [
    ['v', '1'],
    ['a', 'rsa-sha256'],
    ['c', 'relaxed/relaxed'],
    ['d', 'example.com'],
    ['s', 'brisbane'],
    ['t', '1117574938'],
    ['x', '1118006938'],
    ['h', 'From:From:To'],
    ['bh', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
    ['b', ''],
  ])
})

test('x= only when it is asked for', () => {
  const { expirationSeconds: _, ...without } = signature
  assert.doesNotMatch(formatUnsigned(without), /\bx=/)
})

test('lines of at most 78 characters, folded only where FWS may stand', () => {
  const names = Array.from({ length: 60 }, (_, i) => `Field-${i}`)
  const signingDomain = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.com`
  const text =
    formatUnsigned({ ...signature, signedFields: names, signingDomain }) + foldBase64('x'.repeat(684))
  const [longest, ...others] = text.split('\r\n').sort((a, b) => b.length - a.length)
  assert.match(longest ?? '', new RegExp(`^\td=${signingDomain};`), 'but for a value that cannot be folded')
  for (const line of others) assert.ok(line.length <= 78, line)
  const tags = parseTagList(text.slice('DKIM-Signature:'.length))
  assert.deepEqual(tags?.get('h')?.split(/:\r\n\t|:/), names)
  assert.equal(tags?.get('b')?.replaceAll('\r\n\t', ''), 'x'.repeat(684))
})

const identities: [mailbox: Mailbox, identity: string][] = [
  [{ localPart: 'joe', domain: 'Football.Example.com' }, 'joe@football.example.com'],
  [{ localPart: 'joe+a=b', domain: 'example.com' }, 'joe+a=3Db@example.com'],
  // RFC 6376 §2.11: semicolon and white space must be encoded; RFC 5321 §4.1.2: where they stand in quotes.
  [{ localPart: 'a b;c', domain: 'example.com' }, '"a=20b=3Bc"@example.com'],
  [{ localPart: 'jörg', domain: 'bücher.example' }, 'j=C3=B6rg@xn--bcher-kva.example'],
]

for (const [mailbox, identity] of identities)
  test(`i=${identity}`, () => {
    assert.equal(formatIdentity(mailbox), identity)
    const tags = parseTagList(formatUnsigned({ ...signature, identity }).slice('DKIM-Signature:'.length))
    assert.equal(tags?.get('i'), identity)
  })

const domains: [domain: string, within: boolean][] = [
  ['example.com', true],
  ['EXAMPLE.com', true],
  ['a.b.example.com', true],
  ['badexample.com', false],
  ['com', false],
  ['example.com.example.net', false],
  ['[192.0.2.1]', false],
]

test('within the signing domain: itself, or below it', () => {
  for (const [domain, within] of domains) assert.equal(isWithin(domain, 'example.com'), within, domain)
  assert.ok(isWithin('bücher.example', 'xn--bcher-kva.example'))
})
