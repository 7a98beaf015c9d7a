/** A signature: what is done before the private key is used, and what the signer does of a message in all but that. */

import { createHash, generateKeyPairSync, hash } from 'node:crypto'
import { BodyHash } from '../../src/dkim/body-hash.ts'
import { BodyCanonicalizer, type Canonicalization } from '../../src/dkim/canonicalization.ts'
import { MessageSigner, SIGNED_FIELDS, type SigningKey } from '../../src/dkim/sign.ts'
import { canonicalizeFields, formatUnsigned, headerHashInput } from '../../src/dkim/signature.ts'
import { type Field, parseHeader } from '../../src/message/header.ts'
import { authorsFor, identityOf } from '../../src/signer/sign-message.ts'
import { mails } from './mail.ts'
import { inTurn, type Operation, type Room } from './measure.ts'

const DOMAINS: ReadonlySet<string> = new Set(['example.com'])
const MANY: ReadonlySet<string> = new Set([
  ...DOMAINS,
  ...Array.from({ length: 999 }, (_, at) => `d${at}.example.net`),
])
const SIGNATURE = {
  algorithm: 'rsa-sha256',
  signingDomain: 'example.com',
  selector: 'ptt-20251121-k7wq2-rsa',
  identity: 'alice@example.com',
  canonicalization: ['relaxed', 'relaxed'],
  signedFields: SIGNED_FIELDS.slice(0, 14),
  bodyHash: hash('sha256', 'body', 'base64'),
  timestampSeconds: 1_763_720_430,
  expirationSeconds: 1_764_584_430,
} as const

export const dkim: Room = { name: 'dkim', operations }

function operations(): Operation[] {
  const all = mails(64)
  const headers = all.map(({ header }) => parseHeader(header))
  const signed = headers.map(header => header.filter(isSigned))
  const canonical = signed.map(fields => Buffer.from(canonicalizeFields(fields, 'relaxed')))
  const unsigned = formatUnsigned(SIGNATURE)
  const authors = all.map(({ octets }) => authorsFor(DOMAINS, [octets]))
  const bodies = all.map(({ body }) => body)
  const octets = Math.round(bodies.reduce((sum, body) => sum + body.length, 0) / bodies.length)
  const ed25519: SigningKey = {
    signingDomain: 'example.com',
    selector: 'ptt',
    algorithm: 'ed25519-sha256',
    privateKey: generateKeyPairSync('ed25519').privateKey,
  }
  return [
    {
      name: 'body canonicalized, relaxed',
      octets,
      run: inTurn(bodies, body => canonicalized('relaxed', body)),
    },
    {
      name: 'body canonicalized, simple',
      octets,
      run: inTurn(bodies, body => canonicalized('simple', body)),
    },
    {
      name: 'SHA-256 alone of a body',
      octets,
      run: inTurn(bodies, body => createHash('sha256').update(body).digest('base64')),
    },
    { name: 'body hash, relaxed', octets, run: inTurn(bodies, body => bodyHash('relaxed', body)) },
    { name: 'body hash, simple', octets, run: inTurn(bodies, body => bodyHash('simple', body)) },
    {
      name: 'header fields canonicalized',
      run: inTurn(signed, fields => canonicalizeFields(fields, 'relaxed')),
    },
    { name: 'DKIM-Signature without b=, written', run: () => formatUnsigned(SIGNATURE) },
    {
      name: 'input of the header hash',
      run: inTurn(canonical, fields => headerHashInput(fields, unsigned, 'relaxed')),
    },
    { name: 'authors and their domains', run: inTurn(all, each => authorsFor(DOMAINS, [each.octets])) },
    { name: 'authors, of 1,000 domains', run: inTurn(all, each => authorsFor(MANY, [each.octets])) },
    { name: 'i= of a message', run: inTurn(authors, each => identityOf('alice@example.com', each)) },
    {
      name: 'message signed, Ed25519, 64 at once',
      run: { atOnce: 64, one: inTurn(all, each => signedBy(ed25519, each.octets)) as () => Promise<unknown> },
    },
  ]
}

function isSigned({ name }: Field): boolean {
  return SIGNED_FIELDS.some(wanted => wanted.toLowerCase() === name.toLowerCase())
}

function canonicalized(canonicalization: Canonicalization, body: Buffer): number {
  let octets = 0
  const canonicalizer = new BodyCanonicalizer(canonicalization, piece => {
    octets += piece.length
  })
  canonicalizer.update(body)
  canonicalizer.finish()
  return octets
}

function bodyHash(canonicalization: Canonicalization, body: Buffer): string {
  const own = new BodyHash(canonicalization)
  own.update(body)
  return own.finish()
}

function signedBy(key: SigningKey, octets: Buffer): Promise<Uint8Array> {
  const signer = new MessageSigner([key], { timestampSeconds: SIGNATURE.timestampSeconds })
  signer.update(octets)
  return signer.finish()
}
