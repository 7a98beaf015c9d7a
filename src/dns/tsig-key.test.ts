import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTsigKey, parseTsigKey } from './tsig.ts'

test('TSIG key: NAME:ALGORITHM:BASE64', () => {
  assert.deepEqual(parseTsigKey('X._Update.Example.com.:HMAC-SHA256:AAEC\n'), {
    name: 'x._update.example.com',
    algorithm: 'hmac-sha256',
    secret: Buffer.from([0, 1, 2]),
  })
  assert.equal(formatTsigKey(parseTsigKey('a:hmac-sha512:AAECAw==')), 'a:hmac-sha512:AAECAw==')
})

const SAME = 'x._update.example.com:hmac-sha384:AA//AA=='

/** All are the key `SAME`. */
const notations: string[] = [
  SAME,
  'x._update.example.com:SHA384:AA//AA==',
  'x._update.example.com.:hmac-sha384.:AA//AA==\n',
  // As tsig-keygen prints it.
  'key "x._update.example.com" {\n\talgorithm hmac-sha384;\n\tsecret "AA//AA==";\n};\n',
  'key x._update.example.com. { secret AA//AA==; algorithm "HMAC-SHA384"; }',
  '# for the signer\n/* key "a" {\n */ key "x._update.example.com" { // its name\nalgorithm hmac-sha384; secret "AA//AA=="; };',
]
for (const text of notations) {
  test(`TSIG key: ${text.replaceAll('\n', ' ')}`, () => {
    assert.equal(formatTsigKey(parseTsigKey(text)), SAME)
  })
}

const badKeys: [text: string, message: RegExp][] = [
  ['', /written NAME:ALGORITHM:BASE64/],
  ['name:hmac-sha256', /written NAME/],
  ['name:hmac-sha256:', /written NAME/],
  ['name:hmac-sha256:AAEC:x', /written NAME/],
  [
    'name:hmac-md5:AAEC',
    /'hmac-md5' is not one of hmac-sha256, .*: it must not be used any more .*tsig-keygen/,
  ],
  ['name:hmac-sha1:AAEC', /not one of .*: it must not be used any more/],
  ['name:SHA1:AAEC', /it must not be used any more/],
  ['name:hmac-sha224:AAEC', /not one of hmac-sha256, hmac-sha384, hmac-sha512$/],
  ['name:hmac-sha256-128:AAEC', /not one of/],
  ['a..b:hmac-sha256:AAEC', /empty label/],
  ['name:hmac-sha256:S€CRET', /not Base64/],
  ['key "a" { algorithm hmac-md5.sig-alg.reg.int; secret "AAEC"; };', /must not be used any more/],
  ['key "a" { algorithm hmac-sha256; secret "S€CRET"; };', /not Base64/],
  ['key "a" { algorithm hmac-sha256; };', /algorithm or secret is missing/],
  ['key "a" { algorithm hmac-sha256 secret "AAEC"; };', /each ended with ";"/],
  ['key "a" { secret "AAEC"; secret "AAED"; };', /each ended with ";"/],
  ['key "a" { algorithm hmac-sha256; secret "AAEC"; ', /written otherwise/],
  ['key "a b" { algorithm hmac-sha256; secret "AAEC"; };', /written otherwise/],
  [
    'key "a" { algorithm hmac-sha256; secret "AAEC"; }; key "b" { algorithm hmac-sha256; secret "AAEC"; };',
    /more than one/,
  ],
]
for (const [text, expected] of badKeys) {
  test(`not a TSIG key: '${text}'`, () => {
    assert.throws(() => parseTsigKey(text), { name: 'TsigKeyError', message: expected })
    assert.throws(
      () => parseTsigKey(text),
      (error: Error) => !error.message.includes('S€CRET') && !error.message.includes('AAEC'),
    )
  })
}
