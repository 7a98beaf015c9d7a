/**
 * Four verifiers that have nothing in common with our signer, and with each other: each says pass, or each says fail, of
 * every signature of every message of the corpus.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Canonicalization } from '../../src/dkim/canonicalization.ts'
import { formatKeyRecord, keyRecordName } from '../../src/dkim/key-record.ts'
import { deriveEd25519Key, deriveKey } from '../../src/dkim/seed.ts'
import { MessageSigner, type SigningKey } from '../../src/dkim/sign.ts'
import { endOfHeader, fieldsNamed, parseHeader } from '../../src/message/header.ts'
import { corpus, type Sample, withAttachment } from '../corpus/corpus.ts'
import { shapes } from '../corpus/shapes.ts'
import type { KeyRecords, Verdicts } from '../peers/dkim-verdict.ts'
import { verdictsOfDkimpy } from '../peers/dkimpy.ts'
import { verdictsOfMailDkim } from '../peers/mail-dkim.ts'
import { verdictsOfMailauth } from '../peers/mailauth.ts'
import { need } from '../peers/need.ts'
import { verdictsOfOpendkim } from '../peers/opendkim.ts'

const signingDomain = 'example.com'
const seed = Buffer.alloc(32, 'interop')
const rsa = (bits: number): SigningKey => ({
  signingDomain,
  selector: `rsa${bits}`,
  algorithm: 'rsa-sha256',
  privateKey: deriveKey(seed, signingDomain, bits),
})
const ed25519: SigningKey = {
  signingDomain,
  selector: 'ed25519',
  algorithm: 'ed25519-sha256',
  privateKey: deriveEd25519Key(seed, signingDomain),
}
const usual = [rsa(2048), ed25519]
const larger = [rsa(3072), rsa(4096)]
const records: KeyRecords = Object.fromEntries(
  [...usual, ...larger].map(({ selector, privateKey }) => [
    keyRecordName(selector, signingDomain),
    formatKeyRecord(privateKey),
  ]),
)

type Halves = readonly [header: Canonicalization, body: Canonicalization]
const HALVES: readonly Halves[] = [
  ['relaxed', 'relaxed'],
  ['simple', 'simple'],
  ['relaxed', 'simple'],
  ['simple', 'relaxed'],
]

interface Signed {
  readonly name: string
  readonly halves: Halves
  /** As it arrives. */
  readonly octets: Buffer
}

/** In pieces of a prime number of octets: what the network does to a message must make no difference. */
async function sign({ name, octets }: Sample, halves: Halves, keys = usual): Promise<Signed> {
  const signer = new MessageSigner(keys, {
    timestampSeconds: 1_757_000_000,
    canonicalization: halves,
    identity: { localPart: 'j;oe', domain: 'mail.example.com' },
  })
  for (let at = 0; at < octets.length; at += 4099) signer.update(octets.subarray(at, at + 4099))
  // DATA ends each message with CRLF (RFC 5321 §4.1.1.4), BDAT does not.
  const lineEnd = octets.subarray(-2).equals(Buffer.from('\r\n')) ? '' : '\r\n'
  const all = Buffer.concat([await signer.finish(), octets, Buffer.from(lineEnd)])
  return { name: `${name}, ${halves.join('/')}`, halves, octets: all }
}

const [relaxed = HALVES[0]] = HALVES
assert.ok(relaxed)
const signed = await Promise.all([
  ...corpus.flatMap(sample => HALVES.map(halves => sign(sample, halves))),
  // Of each shape some variants: every shape in all halves.
  ...shapes.map((sample, i) => sign(sample, HALVES[i % HALVES.length] ?? relaxed)),
])
const large = await sign(withAttachment(10 * 1024 * 1024), relaxed)
const long = await Promise.all(corpus.slice(0, 3).map(sample => sign(sample, relaxed, larger)))

interface Verifier {
  readonly name: string
  readonly programs: readonly string[]
  readonly verdicts: (messages: readonly Uint8Array[], records: KeyRecords) => Promise<Verdicts[]>
  /** What it has no idea of: it must say pass of the other signature all the same. */
  readonly lacks?: readonly string[]
  /** What it is not shown as it is. */
  readonly blind?: (message: Signed) => boolean
}

const verifiers: readonly Verifier[] = [
  {
    name: 'OpenDKIM',
    programs: ['opendkim'],
    verdicts: verdictsOfOpendkim,
    // Its test mode puts one space after each colon, whatever stood there: what `simple` is computed of is lost.
    blind: ({ halves, octets }) =>
      halves[0] === 'simple' &&
      parseHeader(octets).some(
        field => !/^[^:]+: [^ \t\r]/.test(Buffer.from(field.octets).toString('latin1')),
      ),
  },
  { name: 'dkimpy', programs: ['dkimverify', '/usr/bin/python3'], verdicts: verdictsOfDkimpy },
  {
    name: 'Mail::DKIM',
    programs: ['perl', 'dkimproxy-verify'],
    verdicts: verdictsOfMailDkim,
    // 1.20230212, Debian 12: "unsupported algorithm ed25519-sha256".
    lacks: [ed25519.selector],
  },
  { name: 'mailauth', programs: [], verdicts: verdictsOfMailauth },
]

test('the corpus is of some size', () => {
  assert.ok(corpus.length + shapes.length >= 200)
})

for (const { name, programs, verdicts, lacks = [], blind = () => false } of verifiers) {
  const selectors = usual.map(({ selector }) => selector).filter(selector => !lacks.includes(selector))

  test(`${name} verifies what we sign`, async t => {
    if (!need(t, ...programs)) return
    const messages = [...signed.filter(message => !blind(message)), large]
    assert.ok(messages.length >= 200, `${messages.length} messages`)
    const found = await verdicts(
      messages.map(({ octets }) => octets),
      records,
    )
    assert.equal(found.length, messages.length)
    const bad = messages.flatMap((message, i) =>
      selectors
        .map(selector => `${message.name}: ${selector}: ${found[i]?.get(selector)}`)
        .filter(line => !line.endsWith(': pass')),
    )
    assert.deepEqual(bad, [])
  })

  test(`${name} verifies RSA of 3072 and 4096 bits`, async t => {
    if (!need(t, ...programs)) return
    const found = await verdicts(
      long.map(({ octets }) => octets),
      records,
    )
    const pass = larger.map(({ selector }) => [selector, 'pass'])
    assert.deepEqual(
      found.map(each => [...each]),
      long.map(() => pass),
    )
  })

  test(`${name} refuses it with one octet changed or one field more`, async t => {
    if (!need(t, ...programs)) return
    const found = await verdicts(
      tampered.map(([, message]) => message),
      records,
    )
    assert.equal(found.length, tampered.length)
    for (const [i, [what]] of tampered.entries()) {
      const verdicts = selectors.map(selector => found[i]?.get(selector) ?? 'no verdict')
      for (const verdict of verdicts) assert.match(verdict, /^fail/, what)
    }
  })
}

const letter = (octet: number | undefined): boolean => octet !== undefined && octet > 64 && octet < 123

/** The first letter of the field's value is another. */
function flipInField(message: Buffer, name: string): Buffer | null {
  const field = fieldsNamed(parseHeader(message), name).at(-1)
  if (field === undefined) return null
  const start = field.octets.byteOffset - message.byteOffset
  const value = message.indexOf(':', start) + 1
  return flip(
    message,
    message.findIndex((octet, i) => i >= value && i < start + field.octets.length && letter(octet)),
  )
}

/** The last octet of the body that is to be seen is another. */
function flipInBody(message: Buffer): Buffer | null {
  const body = endOfHeader(message)
  return flip(
    message,
    message.findLastIndex((octet, i) => i >= body && octet > 33 && octet < 126),
  )
}

function flip(message: Buffer, at: number): Buffer | null {
  if (at < 0) return null
  const flipped = Buffer.from(message)
  flipped[at] = (flipped[at] ?? 0) ^ 1
  return flipped
}

const tampered: readonly [what: string, message: Buffer][] = [
  ...signed.flatMap(({ name, octets }, i): [string, Buffer | null][] => {
    const field = i % 2 === 0 ? 'From' : 'Subject'
    return [
      [`${field} of ${name}`, flipInField(octets, field)],
      [`body of ${name}`, flipInBody(octets)],
    ]
  }),
  [`body of ${large.name}`, flipInBody(large.octets)] as [string, Buffer | null],
  ...['From: evil@example.net', 'Subject: win', 'Reply-To: evil@example.net', 'Content-Type: text/html'].map(
    (field): [string, Buffer] => [
      `one more ${field}`,
      Buffer.concat([Buffer.from(`${field}\r\n`), signed[0]?.octets ?? Buffer.alloc(0)]),
    ],
  ),
].filter((entry): entry is [string, Buffer] => entry[1] !== null)
