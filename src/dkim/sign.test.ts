import assert from 'node:assert/strict'
import { createHmac, createPublicKey, createSecretKey, generateKeyPairSync, verify } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { endOfHeader, MAX_HEADER_OCTETS, parseHeader } from '../message/header.ts'
import { SmtpError } from '../smtp/error.ts'
import { BodyHash } from './body-hash.ts'
import { MessageSigner, type SignerOptions, type SigningKey } from './sign.ts'
import { headerHashInput } from './signature.ts'
import { parseTagList } from './tag-list.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const key: SigningKey = { signingDomain: 'example.com', selector: 'ptt', algorithm: 'rsa-sha256', privateKey }
const TIME = { timestampSeconds: 1_757_000_000 }

async function signature(
  chunks: readonly (string | Buffer)[],
  options: SignerOptions = TIME,
): Promise<string> {
  const signer = new MessageSigner(key, options)
  for (const chunk of chunks) signer.update(Buffer.from(chunk))
  return Buffer.from(await signer.finish()).toString('latin1')
}

function tags(field: string): Record<string, string> {
  const list = parseTagList(field.slice(field.indexOf(':') + 1))
  assert.ok(list)
  return Object.fromEntries([...list].map(([name, value]) => [name, value.replaceAll('\r\n\t', '')]))
}

/** A small verifier: RFC 6376 §6.1.3, for what we sign. */
function verifies(field: string, message: Buffer): boolean {
  const { h = '', bh, b = '' } = tags(field)
  const end = endOfHeader(message)
  const body = new BodyHash('relaxed')
  body.update(end < 0 ? Buffer.alloc(0) : message.subarray(end))
  const unsigned = field.slice(0, field.lastIndexOf('b=') + 2)
  const input = headerHashInput(parseHeader(message), h.split(':'), 'relaxed', unsigned)
  const good = verify(
    'sha256',
    Buffer.from(input, 'latin1'),
    createPublicKey(privateKey),
    Buffer.from(b, 'base64'),
  )
  return good && bh === body.finish()
}

const MESSAGE = Buffer.from(
  'From: Jörg <j@example.com>\r\nTo: a@example.net\r\nTo: b@example.net\r\nX: y\r\n\r\nHi  there \r\n',
)

test('the signature verifies, and does not with another body or header', async () => {
  const field = await signature([MESSAGE])
  assert.ok(field.startsWith('DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=ptt;'))
  assert.ok(field.endsWith('\r\n') && !field.slice(0, -2).endsWith('\r\n'))
  assert.ok(verifies(field, MESSAGE))
  assert.ok(!verifies(field, Buffer.concat([MESSAGE, Buffer.from('x\r\n')])))
  assert.ok(
    !verifies(field, Buffer.concat([Buffer.from('From: x@example.com\r\n'), MESSAGE])),
    'From is oversigned',
  )
  assert.ok(
    verifies(field, Buffer.concat([Buffer.from('Received: by x\r\n'), MESSAGE])),
    'trace fields come later',
  )
})

test('h= has every instance of what is signed, and one more of what is oversigned', async () => {
  const names = (tags(await signature([MESSAGE])).h ?? '').split(':')
  const count = (name: string): number => names.filter(other => other === name).length
  assert.deepEqual(
    ['From', 'To', 'Cc', 'Subject', 'Content-Type', 'Sender', 'X'].map(name => [name, count(name)]),
    [
      ['From', 2],
      ['To', 3],
      ['Cc', 1],
      ['Subject', 1],
      ['Content-Type', 1],
      ['Sender', 0],
      ['X', 0],
    ],
  )
})

test('never signed by h=: Return-Path, Received, DKIM-Signature', async () => {
  const { h = '' } = tags(
    await signature(['Return-Path: <>\r\nReceived: x\r\nDKIM-Signature: v=1\r\nComments: x\r\n', MESSAGE]),
  )
  assert.doesNotMatch(h, /Return-Path|Received|DKIM-Signature|Comments/i)
})

test('fields may be chosen; From is among them in any case', async () => {
  const { h } = tags(await signature([MESSAGE], { ...TIME, fields: ['x', 'FROM', 'to'] }))
  assert.equal(h, 'From:From:x:to:to:to')
  assert.throws(() => new MessageSigner(key, { ...TIME, fields: ['DKIM-Signature'] }), RangeError)
  assert.throws(() => new MessageSigner(key, { ...TIME, fields: ['a;b'] }), RangeError)
})

test('t= and x= are as given, and there is no l=', async () => {
  const list = tags(await signature([MESSAGE], { ...TIME, expirationSeconds: 1_757_500_000 }))
  assert.equal(list.t, '1757000000')
  assert.equal(list.x, '1757500000')
  assert.equal(list.l, undefined)
})

test('how the message is cut makes no difference', async () => {
  const whole = await signature([MESSAGE])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(MESSAGE.length), { maxLength: 5 }), async cuts => {
      const at = [0, ...cuts.sort((a, b) => a - b), MESSAGE.length]
      const chunks = at.slice(1).map((end, i) => MESSAGE.subarray(at[i], end))
      assert.equal(await signature(chunks), whole)
    }),
    { seed: 6376, numRuns: 100 },
  )
  assert.equal(await signature([...MESSAGE].map(octet => Buffer.from([octet]))), whole)
})

test('a header section alone is a message: its body is empty', async () => {
  const alone = 'From: a@example.com\r\nSubject: x\r\n'
  const field = await signature([alone])
  assert.equal(tags(field).bh, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')
  assert.ok(verifies(field, Buffer.from(alone)))
})

const refused: [what: string, chunks: string[], error: RegExp][] = [
  ['no From', ['Subject: x\r\n\r\n'], /no From/],
  ['two From', ['From: a@b.example\r\nFROM: c@d.example\r\n\r\n'], /more than one From/],
  ['an empty header', ['\r\nFrom: a@b.example\r\n\r\n'], /no From/],
  ['nothing', [], /no From/],
  ['a header that is not one', ['From: a@b.example\r\nrubbish\r\n\r\n'], /line 2/],
  ['an endless header', Array.from({ length: 300 }, () => `X: ${'x'.repeat(1000)}\r\n`), /longer than/],
  ['a long header in one piece', [`X: ${'x'.repeat(MAX_HEADER_OCTETS)}\r\n\r\nbody`], /longer than/],
]

for (const [what, chunks, error] of refused)
  test(`refused: ${what}`, async () => {
    await assert.rejects(
      signature(chunks),
      thrown => thrown instanceof SmtpError && error.test(thrown.message),
    )
  })

test('a key that cannot sign rejects: never a message without a signature', async () => {
  const wrong = createSecretKey(createHmac('sha256', 'x').digest())
  const signer = new MessageSigner({ ...key, privateKey: wrong }, TIME)
  signer.update(MESSAGE)
  await assert.rejects(signer.finish())
})
