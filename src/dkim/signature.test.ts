import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { parseHeader } from '../message/header.ts'
import { foldBase64, formatUnsigned, headerHashInput, type Signature } from './signature.ts'
import { parseTagList } from './tag-list.ts'

test('the signature of RFC 6376 App. A.2 verifies with the key of App. C', () => {
  const message = [
    'Received: from client1.football.example.com  [192.0.2.1]',
    '      by submitserver.example.com with SUBMISSION;',
    '      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)',
    'From: Joe SixPack <joe@football.example.com>',
    'To: Suzie Q <suzie@shopping.example.net>',
    'Subject: Is dinner ready?',
    'Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)',
    'Message-ID: <20030712040037.46341.5F8J@football.example.com>',
    '',
    '',
  ].join('\r\n')
  const unsigned = [
    'DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;',
    '      c=simple/simple; q=dns/txt; i=joe@football.example.com;',
    '      h=Received : From : To : Subject : Date : Message-ID;',
    '      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    '      b=;',
  ].join('\r\n')
  const signature =
    'AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut' +
    'KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV4bmp/YzhwvcubU4='
  const publicKey = createPublicKey(
    `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq
631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB
-----END PUBLIC KEY-----`,
  )
  const names = (parseTagList(unsigned.slice(unsigned.indexOf(':') + 1))?.get('h') ?? '').split(/ : /)
  assert.equal(names.length, 6)
  const input = headerHashInput(parseHeader(Buffer.from(message)), names, 'simple', unsigned)
  assert.ok(verify('sha256', Buffer.from(input, 'latin1'), publicKey, Buffer.from(signature, 'base64')))
})

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
    assert.equal(headerHashInput(header, names, 'relaxed', 'DKIM-Signature: v=1;\r\n\tb='), input + own)
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
