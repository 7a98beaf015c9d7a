import assert from 'node:assert/strict'
import {
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  verify,
} from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { fieldsTaken } from '../../test/fields-taken.ts'
import { endOfHeader, MAX_HEADER_OCTETS, parseHeader } from '../message/header.ts'
import { SmtpError } from '../smtp/error.ts'
import { BodyHash } from './body-hash.ts'
import type { Canonicalization } from './canonicalization.ts'
import { MessageSigner, type SignerOptions, type SigningKey } from './sign.ts'
import { canonicalizeFields, headerHashInput } from './signature.ts'
import { parseTagList } from './tag-list.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const key: SigningKey = { signingDomain: 'example.com', selector: 'ptt', algorithm: 'rsa-sha256', privateKey }
const ed25519: SigningKey = {
  signingDomain: 'example.com',
  selector: 'ptt-ed',
  algorithm: 'ed25519-sha256',
  privateKey: generateKeyPairSync('ed25519').privateKey,
}
const TIME = { timestampSeconds: 1_757_000_000 }

async function signatures(
  keys: readonly SigningKey[],
  chunks: readonly (string | Buffer)[],
  options: SignerOptions = TIME,
): Promise<string[]> {
  const signer = new MessageSigner(keys, options)
  for (const chunk of chunks) signer.update(Buffer.from(chunk))
  const text = Buffer.from(await signer.finish()).toString('latin1')
  return text.split(/(?<=\r\n)(?=DKIM-Signature:)/)
}

async function signature(chunks: readonly (string | Buffer)[], options?: SignerOptions): Promise<string> {
  const [field = '', ...others] = await signatures([key], chunks, options)
  assert.deepEqual(others, [])
  return field
}

function tags(field: string): Record<string, string> {
  const list = parseTagList(field.slice(field.indexOf(':') + 1))
  assert.ok(list)
  return Object.fromEntries([...list].map(([name, value]) => [name, value.replaceAll('\r\n\t', '')]))
}

/** A small verifier: RFC 6376 §6.1.3, for what we sign. */
function verifies(field: string, message: Buffer, by = key): boolean {
  const { a, c, h = '', bh, b = '' } = tags(field)
  assert.equal(a, by.algorithm)
  const [ofHeader, ofBody] = (c ?? '').split('/') as [Canonicalization, Canonicalization]
  const end = endOfHeader(message)
  const body = new BodyHash(ofBody)
  body.update(end < 0 ? Buffer.alloc(0) : message.subarray(end))
  const unsigned = field.slice(0, field.lastIndexOf('b=') + 2)
  const fields = canonicalizeFields(fieldsTaken(parseHeader(message), h.split(':')), ofHeader)
  const input = headerHashInput(fields, unsigned, ofHeader)
  // RFC 8463 §3: Ed25519 signs the hash.
  const [digest, data] =
    a === 'rsa-sha256' ? ['sha256', input] : [null, createHash('sha256').update(input).digest()]
  const good = verify(digest, data, createPublicKey(by.privateKey), Buffer.from(b, 'base64'))
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

test('a signature of each key, the first key first, over the same message', async () => {
  const [rsa = '', ed = '', ...others] = await signatures([key, ed25519], [MESSAGE])
  assert.deepEqual(others, [])
  assert.deepEqual([tags(rsa).a, tags(rsa).s], ['rsa-sha256', 'ptt'])
  assert.deepEqual([tags(ed).a, tags(ed).s], ['ed25519-sha256', 'ptt-ed'])
  assert.ok(verifies(rsa, MESSAGE) && verifies(ed, MESSAGE, ed25519))
  assert.equal(tags(ed).bh, tags(rsa).bh)
  assert.equal(Buffer.from(tags(ed).b ?? '', 'base64').length, 64)
  assert.ok(!verifies(ed, Buffer.concat([MESSAGE, Buffer.from('x\r\n')]), ed25519))
  // RFC 8463 §6: they are independent of each other, so neither signs the other.
  assert.ok(verifies(rsa, Buffer.concat([Buffer.from(ed), MESSAGE])))
})

for (const c of ['simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed'])
  test(`c=${c}`, async () => {
    const canonicalization = c.split('/') as [Canonicalization, Canonicalization]
    const [rsa = '', ed = ''] = await signatures([key, ed25519], [MESSAGE], { ...TIME, canonicalization })
    assert.equal(tags(rsa).c, c)
    assert.ok(verifies(rsa, MESSAGE) && verifies(ed, MESSAGE, ed25519))
    const [ofHeader, ofBody] = canonicalization
    const folded = Buffer.from(MESSAGE.toString().replace('From: ', 'from:\t'))
    const spaced = Buffer.from(MESSAGE.toString().replace('Hi  there \r\n', 'Hi there\r\n'))
    assert.equal(verifies(rsa, folded), ofHeader === 'relaxed')
    assert.equal(verifies(rsa, spaced), ofBody === 'relaxed')
  })

test('i= when it is given, and of d= or below it', async () => {
  const identity = { localPart: 'joe', domain: 'mail.example.com' }
  const field = await signature([MESSAGE], { ...TIME, identity })
  assert.equal(tags(field).i, 'joe@mail.example.com')
  assert.ok(verifies(field, MESSAGE))
  assert.equal(tags(await signature([MESSAGE])).i, undefined)
  const elsewhere = { localPart: 'joe', domain: 'example.net' }
  assert.throws(() => new MessageSigner([key], { ...TIME, identity: elsewhere }), RangeError)
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
  assert.throws(() => new MessageSigner([key], { ...TIME, fields: ['DKIM-Signature'] }), RangeError)
  assert.throws(() => new MessageSigner([key], { ...TIME, fields: ['a;b'] }), RangeError)
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

test('a header that has been parsed already is not parsed again, and signed the same', async () => {
  const alone = Buffer.from('From: a@example.com\r\nSubject: x\r\n')
  for (const message of [MESSAGE, alone, Buffer.concat([alone, Buffer.from('\r\n')])]) {
    const header = parseHeader(message)
    const wanted = await signature([message])
    assert.equal(await signature([message], { ...TIME, header }), wanted)
    assert.equal(
      await signature(
        [...message].map(octet => Buffer.from([octet])),
        { ...TIME, header },
      ),
      wanted,
    )
  }
  const twice = [...parseHeader(MESSAGE), ...parseHeader(MESSAGE)]
  await assert.rejects(signature([MESSAGE], { ...TIME, header: twice }), /more than one From/)
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

/** Node signs something with some of these; no verifier would take it. */
const useless: [what: string, key: SigningKey][] = [
  ['a secret', { ...key, privateKey: createSecretKey(createHmac('sha256', 'x').digest()) }],
  ['an RSA key as Ed25519', { ...ed25519, privateKey }],
  ['an Ed25519 key as RSA', { ...key, privateKey: ed25519.privateKey }],
  ['a public key', { ...key, privateKey: createPublicKey(privateKey) }],
]

for (const [what, wrong] of useless)
  test(`${what} rejects, also beside a good key: all signatures or none`, async () => {
    await assert.rejects(signatures([wrong], [MESSAGE]))
    await assert.rejects(signatures([key, wrong], [MESSAGE]))
    await assert.rejects(signatures([wrong, key], [MESSAGE]))
  })

test('no key, and x= that is over when it begins, are refused at once', () => {
  assert.throws(() => new MessageSigner([], TIME), RangeError)
  const expirationSeconds = TIME.timestampSeconds
  assert.throws(() => new MessageSigner([key], { ...TIME, expirationSeconds }), RangeError)
})
