import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, parseConfig } from '../load.ts'

const parse = (...lines: string[]) =>
  parseConfig(['domain = "example.com"', ...lines].join('\n'), '/etc/ptt/ptt.toml')

test('without the table nobody looks after the certificate', () => {
  assert.equal(parse().certificate, undefined)
})

test("the table alone is Let's Encrypt, with the signer's key to the DNS", () => {
  assert.deepEqual(parse('[certificate]', 'terms_agreed = true').certificate, {
    termsAgreed: true,
    directory: 'https://acme-v02.api.letsencrypt.org/directory',
    caaIdentities: [],
    names: [],
    keyType: 'ecdsa-p256',
    state: '/etc/ptt/acme',
    resolver: [{ host: '127.0.0.1', port: 53 }],
    authorities: [],
    propagationMs: 300_000,
  })
})

test('staging and another directory', () => {
  const staging = parse('[certificate]', 'staging = true').certificate
  assert.equal(staging?.directory, 'https://acme-staging-v02.api.letsencrypt.org/directory')
  assert.equal(staging?.termsAgreed, false)
  const other = parse('[certificate]', 'directory = "https://ca.example/acme"', 'ca = "ca.pem"').certificate
  assert.equal(other?.directory, 'https://ca.example/acme')
  assert.equal(other?.ca, '/etc/ptt/ca.pem')
})

const wrong: [line: string, message: RegExp][] = [
  ['staging = "yes"', /certificate\.staging: "yes" is not possible here: write true or false/],
  ['directory = "http://ca.example/acme"', /is not the URL of an ACME directory: write for example "https:/],
  ['key_type = "ed25519"', /write "ecdsa-p256" or "rsa-2048"/],
  ['names = ["*.example.com"]', /certificate\.names: "\*\.example\.com" is not a domain name/],
  ['eab_kid = "kid-1"', /certificate\.eab_kid: eab_kid and eab_key are of no use without each other/],
  ['resolver = []', /certificate\.resolver: is empty/],
  [
    'staging = true\ndirectory = "https://ca.example/acme"',
    /certificate\.staging: there is a directory as well/,
  ],
]
for (const [line, message] of wrong) {
  test(`[certificate] ${line.replace('\n', ' ')}`, () => {
    assert.throws(
      () => parse('[certificate]', ...line.split('\n')),
      error => error instanceof ConfigError && message.test(error.message),
    )
  })
}
