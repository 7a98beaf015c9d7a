import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Directory, User } from '../directory/directory.ts'
import { foldMailbox } from '../directory/may-send.ts'
import { makeVerifier, parseSha1Verifier, parseVerifier, type Verifier } from '../directory/password.ts'
import { Decoys } from '../directory/scram.ts'
import type { TlsFacts } from '../net/wire.ts'
import type { Credentials } from '../smtp/sasl.ts'
import { Authenticator } from './authenticate.ts'
import type { TokenVerdict, TokenVerifier } from './oauth.ts'

const DOMAIN = 'example.com'
const pencil = await makeVerifier('pencil', { iterations: 4096 })
const sha1 = parseSha1Verifier(
  'SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=',
)
const legacy = parseVerifier(createHash('blake2b512').update('pencil').digest('hex'))

const userOf = (localPart: string, verifier: Verifier = pencil, more: Partial<User> = {}): User => {
  const name = `${localPart}@${DOMAIN}`
  return { name, localPart, domain: DOMAIN, verifier, senders: [name], targets: [], ...more }
}

function directoryOf(...users: User[]): Directory {
  return {
    commit: '0'.repeat(40),
    domains: new Set([DOMAIN]),
    scram: users.every(({ verifier }) => verifier.scheme === 'SCRAM-SHA-256'),
    user(name) {
      const [localPart = '', domain = DOMAIN] = name.split('@')
      const folded = foldMailbox({ localPart, domain })
      return users.find(user => user.name === `${folded.localPart}@${folded.domain}`)
    },
    targets: () => undefined,
  }
}

/** A stand-in for an issuer: the token is what is to be thought of it. */
const tokens = {
  async check(token: string): Promise<TokenVerdict> {
    const [kind, value = ''] = token.split(':')
    if (kind === 'valid') return { kind, username: value }
    return { kind: kind === 'unknown' ? kind : 'invalid', reason: value }
  },
} as TokenVerifier

const everybody = directoryOf(
  userOf('alice'),
  userOf('bob', pencil, { sha1Verifier: sha1 }),
  userOf('old', legacy),
)

const authenticatorOf = (
  directory = everybody,
  options: { tokens?: TokenVerifier | null } = {},
): Authenticator =>
  new Authenticator({
    hostname: 'mail.example.com',
    domain: DOMAIN,
    directory: () => directory,
    mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'XOAUTH2', 'EXTERNAL', 'PLAIN'],
    decoys: new Decoys('secret'),
    tokens,
    ...options,
  })

const TLS: TlsFacts = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  authorized: false,
  authorizationError: null,
  peerNames: [],
  peerMailboxes: [],
  servername: 'smtp.example.com',
  chain: () => [],
  resumed: false,
}
const certificate = (...peerMailboxes: string[]): TlsFacts => ({ ...TLS, authorized: true, peerMailboxes })

const password = (name: string, given = 'pencil', authorizationIdentity = ''): Credentials => ({
  type: 'password',
  mechanism: 'PLAIN',
  authorizationIdentity,
  authenticationIdentity: name,
  password: given,
})
const scram = (name: string, failure: string | null = null, authorizationIdentity = ''): Credentials => ({
  type: 'scram',
  mechanism: 'SCRAM-SHA-256',
  authorizationIdentity,
  authenticationIdentity: name,
  failure,
})
const token = (text: string, authorizationIdentity = '', host: string | null = null): Credentials => ({
  type: 'token',
  mechanism: 'OAUTHBEARER',
  authorizationIdentity,
  token: text,
  host,
})
const external = (authorizationIdentity = ''): Credentials => ({
  type: 'external',
  mechanism: 'EXTERNAL',
  authorizationIdentity,
})

const ALICE = 'alice@example.com'
/** A user's name, or the reason why it is nobody. */
const cases: [what: string, credentials: Credentials, outcome: string | RegExp, tls?: TlsFacts][] = [
  ['a password', password('alice'), ALICE],
  ['his whole name, in another case', password('Alice@EXAMPLE.com'), ALICE],
  // RFC 4013 §3: SOFT HYPHEN is mapped to nothing, FULLWIDTH LATIN SMALL LETTER A to a.
  ['a name to be prepared', password('\uff41li\u00adce'), ALICE],
  ['a name that cannot be prepared', password('alice\u0007'), /^no such user$/],
  ['a wrong password', password('alice', 'ink'), /^wrong password$/],
  ['an unknown user', password('carol'), /^no such user$/],
  ['a legacy verifier', password('old'), 'old@example.com'],
  ['acting for himself', password('alice', 'pencil', 'ALICE@example.com'), ALICE],
  ['acting for another', password('alice', 'pencil', 'bob'), /^alice@example\.com may not act for bob$/],
  ['acting for nobody', password('alice', 'pencil', 'carol'), /may not act for carol$/],
  ['SCRAM', scram('alice'), ALICE],
  ['SCRAM, not proved', scram('alice', 'wrong password'), /^wrong password$/],
  ['SCRAM, unknown user', scram('carol', 'wrong password'), /^no such user$/],
  // Removed while the exchange was under way.
  ['SCRAM, a user who is gone', scram('carol'), /^no such user$/],
  ['SCRAM, acting for another', scram('alice', null, 'bob'), /may not act for bob$/],
  ['SCRAM, acting for himself', scram('alice', null, 'alice'), ALICE],
  ['a token', token('valid:alice@example.com'), ALICE],
  ['a token, acting for himself', token('valid:alice', ALICE), ALICE],
  ['a token, acting for another', token('valid:alice', 'bob'), /may not act for bob$/],
  ['a token of a stranger', token('valid:eve@example.org', 'alice'), /^no such user: eve@example\.org$/],
  ['a token that is not valid', token('invalid:expired'), /^expired$/],
  ['a token for our name', token('valid:alice', '', 'MAIL.example.com'), ALICE],
  ['a token for the name that TLS was for', token('valid:alice', '', 'smtp.example.com'), ALICE],
  [
    'a token for another server',
    token('valid:alice', '', 'imap.example.org'),
    /^the token was meant for the server imap\./,
  ],
  ['a certificate', external(), ALICE, certificate(ALICE)],
  ['a certificate, acting for himself', external('alice'), ALICE, certificate(ALICE)],
  [
    'a certificate, acting for another',
    external('bob'),
    /^the certificate is for alice@example\.com$/,
    certificate(ALICE),
  ],
  [
    'a certificate of several, chosen',
    external('bob'),
    'bob@example.com',
    certificate(ALICE, 'bob@example.com'),
  ],
  [
    'a certificate of several, not chosen',
    external(),
    /^the certificate is for alice@.*, bob@/,
    certificate(ALICE, 'bob@example.com'),
  ],
  ['a certificate with another address', external(), ALICE, certificate('alice@home.example', ALICE)],
  [
    'a certificate of a stranger',
    external(),
    /^the certificate is for eve@example\.org$/,
    certificate('eve@example.org'),
  ],
  [
    'a certificate of another CA',
    external(),
    /^the certificate is for nobody$/,
    { ...certificate(ALICE), authorized: false },
  ],
  ['no certificate', external(), /^the certificate is for nobody$/],
]

const replies = new Set<string>()
for (const [what, credentials, outcome, tls = TLS] of cases)
  test(`who it is: ${what}`, async () => {
    const result = await authenticatorOf().authenticate(credentials, { tls, localAddress: '192.0.2.1' })
    if (typeof outcome === 'string') {
      assert.equal(result.user?.name, outcome)
      assert.equal(result.reply.code, 235)
    } else {
      assert.ok(result.user === null)
      assert.match(result.reason, outcome)
      replies.add(JSON.stringify(result.reply))
    }
  })

test('the same answer whatever was wrong, by whatever mechanism', () => {
  assert.deepEqual([...replies], ['{"code":535,"status":"5.7.8","lines":["User name or password is wrong"]}'])
})

test('keys of the issuer that cannot be had: 454 4.7.0', async () => {
  const result = await authenticatorOf().authenticate(token('unknown:fetch failed'), {
    tls: TLS,
    localAddress: '192.0.2.1',
  })
  assert.ok(result.user === null)
  assert.equal(result.reason, 'fetch failed')
  assert.deepEqual([result.reply.code, result.reply.status], [454, '4.7.0'])
})

test('without an issuer no token is any good', async () => {
  const result = await authenticatorOf(everybody, { tokens: null }).authenticate(token('valid:alice'), {
    tls: TLS,
    localAddress: '192.0.2.1',
  })
  assert.equal(result.reply.code, 535)
})

test('what SCRAM is shown: a verifier, or a decoy that looks the same', () => {
  const authenticator = authenticatorOf()
  const shown = (mechanism: string, name: string) => authenticator.verifier(mechanism, name)
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']) {
    assert.deepEqual(shown(mechanism, 'Alice').storedKey, pencil.storedKey)
  }
  assert.deepEqual(shown('SCRAM-SHA-1', 'bob').storedKey, sha1.storedKey)
  assert.deepEqual(shown('SCRAM-SHA-1-PLUS', 'bob').storedKey, sha1.storedKey)
  const decoys: [mechanism: string, names: string[]][] = [
    ['SCRAM-SHA-256', ['carol', 'CAROL', 'carol@example.com', 'Carol@Example.COM', 'ca\u00adrol']],
    // The legacy verifier is of no use to it.
    ['SCRAM-SHA-256', ['old', 'Old@example.com']],
    ['SCRAM-SHA-1', ['alice', 'alice@EXAMPLE.com']],
    ['SCRAM-SHA-256', ['\u0007', '\u0007']],
    ['SCRAM-SHA-256', ['x@\u0007', 'X@\u0007']],
  ]
  for (const [mechanism, names] of decoys) {
    const [first, ...others] = names.map(name => shown(mechanism, name))
    assert.ok(first)
    assert.equal(first.salt.length, 16)
    for (const other of others) assert.deepEqual(other, first)
    assert.notDeepEqual(first.storedKey, pencil.storedKey)
  }
  assert.notDeepEqual(shown('SCRAM-SHA-256', 'carol').salt, shown('SCRAM-SHA-256', 'dora').salt)
})

test('offered is what everybody can use', () => {
  const client = { tls: certificate(ALICE), bindable: true }
  assert.deepEqual(authenticatorOf(everybody).mechanisms(client), ['XOAUTH2', 'EXTERNAL', 'PLAIN'])
  assert.deepEqual(authenticatorOf(directoryOf(userOf('alice')), { tokens: null }).mechanisms(client), [
    'SCRAM-SHA-256-PLUS',
    'SCRAM-SHA-256',
    'EXTERNAL',
    'PLAIN',
  ])
})
