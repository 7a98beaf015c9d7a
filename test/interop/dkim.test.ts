/** Four verifiers that have nothing in common with our signer, and with each other: each says pass, or each says fail. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { formatKeyRecord, keyRecordName } from '../../src/dkim/key-record.ts'
import { deriveKey } from '../../src/dkim/seed.ts'
import { MessageSigner, type SigningKey } from '../../src/dkim/sign.ts'
import { endOfHeader } from '../../src/message/header.ts'
import { corpus, type Sample, withAttachment } from '../corpus/corpus.ts'
import { verifyWithDkimpy } from '../peers/dkimpy.ts'
import { verifyWithMailDkim } from '../peers/mail-dkim.ts'
import { need } from '../peers/need.ts'
import { verifyWithOpendkim } from '../peers/opendkim.ts'

const key: SigningKey = {
  signingDomain: 'example.com',
  selector: 'ptt',
  algorithm: 'rsa-sha256',
  privateKey: deriveKey(Buffer.alloc(32, 'interop'), 'example.com', 2048),
}
const records = { [keyRecordName(key.selector, key.signingDomain)]: formatKeyRecord(key.privateKey) }
const samples = [...corpus, withAttachment(10 * 1024 * 1024)]
const signed = await Promise.all(samples.map(sign))

/** In pieces of a prime number of octets: what the network does to a message must make no difference. */
async function sign({ octets }: Sample): Promise<Buffer> {
  const signer = new MessageSigner([key], { timestampSeconds: 1_757_000_000 })
  for (let at = 0; at < octets.length; at += 4099) signer.update(octets.subarray(at, at + 4099))
  return Buffer.concat([await signer.finish(), octets])
}

/** The first letter of the field's value is another. */
function flipInField(message: Buffer, name: string): Buffer {
  const value = message.indexOf(`\n${name}:`) + name.length + 2
  assert.ok(value > name.length + 1, `no ${name}`)
  return flip(
    message,
    message.findIndex((octet, i) => i >= value && octet > 64 && octet < 128),
  )
}

/** The last octet of the body that is not white space is another. */
function flipInBody(message: Buffer): Buffer {
  return flip(
    message,
    message.findLastIndex(octet => octet > 32),
  )
}

function flip(message: Buffer, at: number): Buffer {
  const flipped = Buffer.from(message)
  flipped[at] = (flipped[at] ?? 0) ^ 1
  return flipped
}

const tampered: [what: string, message: Buffer][] = [
  ...signed.map((message, i): [string, Buffer] => [
    `From of ${samples[i]?.name}`,
    flipInField(message, 'From'),
  ]),
  ...signed.map((message, i): [string, Buffer] => [
    `Subject of ${samples[i]?.name}`,
    flipInField(message, 'Subject'),
  ]),
  ...signed
    .filter(message => message.subarray(endOfHeader(message)).some(octet => octet > 32))
    .map((message, i): [string, Buffer] => [`body ${i}`, flipInBody(message)]),
  ...['From: evil@example.net', 'Subject: win', 'Reply-To: evil@example.net', 'Content-Type: text/html'].map(
    (field): [string, Buffer] => [
      `one more ${field}`,
      Buffer.concat([Buffer.from(`${field}\r\n`), signed[0] ?? Buffer.alloc(0)]),
    ],
  ),
]

async function verifyWithMailauth(messages: readonly Uint8Array[]): Promise<string[]> {
  const resolver = async (name: string, type: string) => {
    const record = records[name]
    if (type !== 'TXT' || record === undefined) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[record]]
  }
  const verdicts: string[] = []
  for (const message of messages) {
    const { results } = await dkimVerify(Buffer.from(message), { resolver })
    const own = results.find(({ signingDomain }) => signingDomain === 'example.com')
    verdicts.push(own?.status.result === 'pass' ? 'pass' : `fail: ${own?.status.comment}`)
  }
  return verdicts
}

const verifiers: [
  name: string,
  programs: string[],
  verify: (messages: readonly Uint8Array[]) => Promise<string[]>,
][] = [
  ['OpenDKIM', ['opendkim'], messages => verifyWithOpendkim(messages, records)],
  ['dkimpy', ['dkimverify', '/usr/bin/python3'], messages => verifyWithDkimpy(messages, records)],
  ['Mail::DKIM', ['perl', 'dkimproxy-verify'], messages => verifyWithMailDkim(messages, records)],
  ['mailauth', [], verifyWithMailauth],
]

for (const [name, programs, verify] of verifiers) {
  test(`${name} verifies what we sign`, async t => {
    if (!need(t, ...programs)) return
    const verdicts = await verify(signed)
    assert.deepEqual(
      samples.map((sample, i) => [sample.name, verdicts[i]]),
      samples.map(sample => [sample.name, 'pass']),
    )
  })

  test(`${name} refuses it with one octet changed or one field more`, async t => {
    if (!need(t, ...programs)) return
    const verdicts = await verify(tampered.map(([, message]) => message))
    assert.equal(verdicts.length, tampered.length)
    for (const [i, [what]] of tampered.entries()) assert.match(verdicts[i] ?? '', /^fail/, what)
  })
}
