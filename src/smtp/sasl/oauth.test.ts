import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reply } from '../reply.ts'
import type { ServerContext } from './mechanism.ts'
import { oauthbearerServer, xoauth2Server } from './oauth.ts'

const context: ServerContext = { offered: ['OAUTHBEARER', 'XOAUTH2'], channelBinding: null }
const servers = { OAUTHBEARER: oauthbearerServer, XOAUTH2: xoauth2Server }

// RFC 7628 §4.1, in octets as the IMAP example has them.
const IMAP =
  'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB'
// and the SMTP one.
const SMTP =
  'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB'
// RFC 7628 §4.3: "an empty Authorization header".
const EMPTY_AUTH = 'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE='
// RFC 7628 §4.4: with "user=" where the grammar has "a=".
const FAILED =
  'bix1c2VyPXNvbWV1c2VyQGV4YW1wbGUuY29tLAFhdXRoPUJlYXJlciB2RjlkZnQ0cW1UYzJOdmIzUmxja0JoZEhSaGRtbHpkR0V1WTI5dENnPT0BAQ=='
// https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
const GOOGLE =
  'dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=='

type Seen = [authorizationIdentity: string, token: string, host: string | null]
const examples: [mechanism: keyof typeof servers, base64: string, seen: Seen][] = [
  [
    'OAUTHBEARER',
    IMAP,
    ['user@example.com', 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', 'server.example.com'],
  ],
  [
    'OAUTHBEARER',
    SMTP,
    ['user@example.com', 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', 'server.example.com'],
  ],
  ['OAUTHBEARER', EMPTY_AUTH, ['user@example.com', '', 'server.example.com']],
  ['OAUTHBEARER', FAILED, ['someuser@example.com', 'vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==', null]],
  ['XOAUTH2', GOOGLE, ['someuser@example.com', 'ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg', null]],
]
for (const [mechanism, base64, [authorizationIdentity, token, host]] of examples)
  test(`${mechanism}: ${Buffer.from(base64, 'base64').toString().replaceAll('\x01', '^A')}`, () => {
    const credentials = { type: 'token', mechanism, authorizationIdentity, token, host }
    const step = servers[mechanism](context).start(Buffer.from(base64, 'base64'))
    assert.deepEqual(step, { type: 'credentials', credentials })
  })

const others: [mechanism: keyof typeof servers, message: string, seen: Seen | null][] = [
  // RFC 7628 §4: the scheme in any case.
  ['OAUTHBEARER', 'n,,\x01auth=BeArEr abc\x01\x01', ['', 'abc', null]],
  ['OAUTHBEARER', 'n,a=,\x01auth=Bearer abc\x01\x01', ['', 'abc', null]],
  ['OAUTHBEARER', 'y,,\x01auth=Bearer abc\x01\x01', ['', 'abc', null]],
  ['OAUTHBEARER', 'n,a=a=2Cb=3D@c,\x01auth=Bearer abc\x01\x01', ['a,b=@c', 'abc', null]],
  // "Unknown key/value pairs MUST be ignored by the server."
  ['OAUTHBEARER', 'n,,\x01mthd=GET\x01auth=Bearer abc\x01qs=a=b\x01\x01', ['', 'abc', null]],
  // No bearer token at all.
  ['OAUTHBEARER', 'n,,\x01\x01', ['', '', null]],
  ['OAUTHBEARER', 'n,,\x01auth=Basic abc\x01\x01', ['', '', null]],
  ['OAUTHBEARER', 'n,,\x01auth=Bearer a b\x01\x01', ['', '', null]],
  ['OAUTHBEARER', 'n,,\x01auth=Bearer a\nb\x01\x01', ['', '', null]],
  ['OAUTHBEARER', '', null],
  ['OAUTHBEARER', '\x01', null],
  ['OAUTHBEARER', 'n,,', null],
  ['OAUTHBEARER', 'n,,\x01', null],
  ['OAUTHBEARER', 'n,,\x01auth=Bearer abc\x01', null],
  ['OAUTHBEARER', 'n,,\x01auth=Bearer abc\x01\x01\x01', null],
  ['OAUTHBEARER', 'n,,\x01auth=Bearer äbc\x01\x01', null],
  ['OAUTHBEARER', 'n,,auth=Bearer abc\x01\x01', null],
  ['OAUTHBEARER', 'n,,\x01=x\x01\x01', null],
  ['OAUTHBEARER', 'n,a=a=2c,\x01auth=Bearer abc\x01\x01', null],
  ['OAUTHBEARER', 'p=tls-exporter,,\x01auth=Bearer abc\x01\x01', null],
  ['XOAUTH2', 'user=é@a.example\x01auth=bearer abc\x01\x01', ['é@a.example', 'abc', null]],
  ['XOAUTH2', 'user=a\x01\x01', ['a', '', null]],
  ['XOAUTH2', '', null],
  ['XOAUTH2', 'user=a', null],
  ['XOAUTH2', 'user=\x01auth=Bearer abc\x01\x01', null],
  ['XOAUTH2', 'auth=Bearer abc\x01user=a\x01\x01', null],
  ['XOAUTH2', 'user=a\x01auth=Bearer abc\x01', null],
]
for (const [mechanism, message, seen] of others)
  test(`${mechanism}: ${JSON.stringify(message)}`, () => {
    const start = () => servers[mechanism](context).start(Buffer.from(message))
    if (seen === null) return assert.throws(start, { code: 501, status: '5.5.2' })
    const [authorizationIdentity, token, host] = seen
    const credentials = { type: 'token', mechanism, authorizationIdentity, token, host }
    assert.deepEqual(start(), { type: 'credentials', credentials })
  })

test('without an initial response there is an empty challenge', () => {
  for (const begin of Object.values(servers)) {
    const server = begin(context)
    assert.deepEqual(server.start(null), { type: 'challenge', challenge: new Uint8Array(0) })
    assert.throws(() => server.respond(Buffer.from([0xff])), { code: 501, status: '5.5.2' })
  }
})

test('a refusal is told as JSON first, a failure of ours is not (RFC 7628 §3.2.2)', () => {
  const said = (mechanism: keyof typeof servers, code: number, scope?: string) => {
    const challenge = servers[mechanism]({ ...context, scope }).conclude?.(reply(code, null, '')) ?? null
    return challenge && Buffer.from(challenge).toString()
  }
  // RFC 7628 §4.4, for the one scheme that we have.
  const scope = 'https://mail.example.com/'
  const refusal = `{"status":"invalid_token","schemes":"bearer","scope":"${scope}"}`
  assert.equal(said('OAUTHBEARER', 535, scope), refusal)
  assert.equal(said('OAUTHBEARER', 535), '{"status":"invalid_token","schemes":"bearer"}')
  assert.equal(said('XOAUTH2', 535, scope), `{"status":"401","schemes":"bearer","scope":"${scope}"}`)
  for (const code of [235, 454]) {
    assert.equal(said('OAUTHBEARER', code), null)
    assert.equal(said('XOAUTH2', code), null)
  }
})
