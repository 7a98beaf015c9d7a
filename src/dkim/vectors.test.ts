/** The signed messages of RFC 6376 App. A and RFC 8463 App. A: verified, and signed again to the same octets. */

import assert from 'node:assert/strict'
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signSync,
  verify,
} from 'node:crypto'
import { test } from 'node:test'
import { fieldsTaken } from '../../test/fields-taken.ts'
import { parseHeader } from '../message/header.ts'
import { BodyHash } from './body-hash.ts'
import type { Canonicalization } from './canonicalization.ts'
import { formatKeyRecord, parseKeyRecord, sameKey } from './key-record.ts'
import { canonicalizeFields, headerHashInput } from './signature.ts'
import { parseTagList } from './tag-list.ts'

interface Vector {
  readonly name: string
  /** Without CRLF. */
  readonly signature: readonly string[]
  readonly header: readonly string[]
  readonly record: string
  readonly privateKey?: KeyObject
}

/** "We lost the game.  Are", with two spaces, is how the RFCs are typeset: bh= is that of one. */
const BODY = 'Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n'

const HEADER = [
  'From: Joe SixPack <joe@football.example.com>',
  'To: Suzie Q <suzie@shopping.example.net>',
  'Subject: Is dinner ready?',
  'Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)',
  'Message-ID: <20030712040037.46341.5F8J@football.example.com>',
]

const vectors: Vector[] = [
  {
    // What was signed has six spaces where the RFC as typeset shows five.
    name: 'RFC 6376 App. A.2, rsa-sha256, simple/simple',
    signature: [
      'DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;',
      '      c=simple/simple; q=dns/txt; i=joe@football.example.com;',
      '      h=Received : From : To : Subject : Date : Message-ID;',
      '      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
      '      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB',
      '      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut',
      '      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV',
      '      4bmp/YzhwvcubU4=;',
    ],
    header: [
      'Received: from client1.football.example.com  [192.0.2.1]',
      '      by submitserver.example.com with SUBMISSION;',
      '      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)',
      ...HEADER,
    ],
    // App. C.
    record: `v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq
      631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB`,
  },
  {
    name: 'RFC 8463 App. A.3, ed25519-sha256, relaxed/relaxed',
    signature: [
      'DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;',
      ' d=football.example.com; i=@football.example.com;',
      ' q=dns/txt; s=brisbane; t=1528637909; h=from : to :',
      ' subject : date : message-id : from : subject : date;',
      ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
      ' b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus',
      ' Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==',
    ],
    header: HEADER,
    record: 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
    privateKey: createPrivateKey({
      key: {
        kty: 'OKP',
        crv: 'Ed25519',
        d: Buffer.from('nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=', 'base64').toString('base64url'),
        x: Buffer.from('11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=', 'base64').toString('base64url'),
      },
      format: 'jwk',
    }),
  },
  {
    name: 'RFC 8463 App. A.3, rsa-sha256, relaxed/relaxed',
    signature: [
      'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;',
      ' d=football.example.com; i=@football.example.com;',
      ' q=dns/txt; s=test; t=1528637909; h=from : to : subject :',
      ' date : message-id : from : subject : date;',
      ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
      ' b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3',
      ' DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz',
      ' dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=',
    ],
    header: HEADER,
    record: `v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx
      /byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB`,
    privateKey: createPrivateKey(`-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----`),
  },
]

const SPKI_OF_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

/** The key of a record, as a verifier makes it. */
function publicKeyOf(record: string): KeyObject {
  const { keyType, publicKey = '' } = parseKeyRecord(record) ?? {}
  const octets = Buffer.from(publicKey, 'base64')
  const der = keyType === 'ed25519' ? Buffer.concat([SPKI_OF_ED25519, octets]) : octets
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

for (const { name, signature, header, record, privateKey } of vectors)
  test(name, () => {
    const field = signature.join('\r\n')
    const tags = parseTagList(field.slice(field.indexOf(':') + 1))
    const names = (tags?.get('h') ?? '').replace(/\s+/g, '').split(':')
    const [ofHeader, ofBody] = (tags?.get('c') ?? '').split('/') as [Canonicalization, Canonicalization]
    const body = new BodyHash(ofBody)
    body.update(Buffer.from(BODY))
    assert.equal(body.finish(), tags?.get('bh'))
    // RFC 6376 §3.7: the field with the value of b= taken out, and nothing else changed.
    const unsigned = field.replace(/\bb=[^;]*/, 'b=')
    const fields = canonicalizeFields(
      fieldsTaken(parseHeader(Buffer.from(`${header.join('\r\n')}\r\n\r\n`)), names),
      ofHeader,
    )
    const input = headerHashInput(fields, unsigned, ofHeader)
    const b = (tags?.get('b') ?? '').replace(/\s+/g, '')
    const isRsa = tags?.get('a') === 'rsa-sha256'
    const digest = isRsa ? 'sha256' : null
    const data = isRsa ? input : createHash('sha256').update(input).digest()
    assert.ok(verify(digest, data, publicKeyOf(record), Buffer.from(b, 'base64')))
    assert.ok(!verify(digest, Buffer.concat([data, data]), publicKeyOf(record), Buffer.from(b, 'base64')))
    if (privateKey === undefined) return
    assert.equal(signSync(digest, data, privateKey).toString('base64'), b)
    assert.ok(sameKey(formatKeyRecord(privateKey), record))
  })
