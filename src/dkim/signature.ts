/** The DKIM-Signature field, RFC 6376 §3.5, and the data its header hash is computed over, §3.7. */

import type { Field } from '../message/header.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { type Canonicalization, canonicalizeField } from './canonicalization.ts'

/** RFC 6376 §3.3.2 and RFC 8463 §3. rsa-sha1 must not be signed with (RFC 8301 §3.1). */
export type Algorithm = 'rsa-sha256' | 'ed25519-sha256'

export interface Signature {
  readonly algorithm: Algorithm
  readonly signingDomain: string
  readonly selector: string
  /** i=, where it is not `@` and the signing domain: as `formatIdentity` writes it. */
  readonly identity?: string | undefined
  /** Header and body. */
  readonly canonicalization: readonly [Canonicalization, Canonicalization]
  /** The names of h=, in order. */
  readonly signedFields: readonly string[]
  readonly bodyHash: string
  readonly timestampSeconds: number
  readonly expirationSeconds?: number | undefined
}

const LINE_PREFERRED = 78
const BASE64_LINE = 72
const CRLF_OCTETS = 2

/**
 * The field without the value of b=, which comes last, and without CRLF. h= and bh= are folded where RFC 6376 §3.5 has
 * FWS, the rest between tags.
 */
export function formatUnsigned(signature: Signature): string {
  const { algorithm, canonicalization, signingDomain, selector, identity, timestampSeconds } = signature
  const tags = ['DKIM-Signature: v=1;', `a=${algorithm};`, `c=${canonicalization.join('/')};`]
  tags.push(`d=${signingDomain};`, `s=${selector};`)
  if (identity !== undefined) tags.push(`i=${identity};`)
  tags.push(`t=${timestampSeconds};`)
  if (signature.expirationSeconds !== undefined) tags.push(`x=${signature.expirationSeconds};`)
  const lines = foldWords(tags, ' ')
  const names = signature.signedFields.map((name, i) => (i === 0 ? `h=${name}` : name))
  const h = foldWords(names, ':')
  return `${lines}\r\n\t${h};\r\n\tbh=${signature.bodyHash};\r\n\tb=`
}

/**
 * i=, the agent or user identifier (AUID): dkim-quoted-printable (RFC 6376 §2.11), its domain as A-labels. All of it is
 * ASCII, also where RFC 8616 §5 would let more stand: that is valid in every message.
 */
export function formatIdentity({ localPart, domain }: Mailbox): string {
  const text = formatMailbox({ localPart, domain: normalizeDomain(domain) })
  return text.replace(/[^!-:<>-~]/gu, character =>
    [...Buffer.from(character)]
      .map(octet => `=${octet.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )
}

/** Whether `domain` is `signingDomain` or below it: what i= must be (RFC 6376 §3.5), and From, for DMARC to be content. */
export function isWithin(domain: string, signingDomain: string): boolean {
  const name = normalizeDomain(domain)
  return name === signingDomain || name.endsWith(`.${signingDomain}`)
}

/** b= of RFC 6376 §3.5: base64 on lines of its own. */
export function foldBase64(value: string): string {
  let folded = value.slice(0, BASE64_LINE)
  for (let at = BASE64_LINE; at < value.length; at += BASE64_LINE)
    folded += `\r\n\t${value.slice(at, at + BASE64_LINE)}`
  return folded
}

// The separator stays at the end of a line, so that nothing but white space is put in (RFC 6376 §3.5: FWS after ":").
function foldWords(words: readonly string[], separator: string): string {
  const lineEnd = `${separator.trimEnd()}\r\n\t`
  let folded = ''
  let column = 0
  for (const word of words) {
    if (column === 0) folded += word
    else if (column + separator.length + word.length + 1 >= LINE_PREFERRED) {
      folded += lineEnd + word
      column = 0
    } else {
      folded += separator + word
      column += separator.length
    }
    column += word.length
  }
  return folded
}

/**
 * The data of the header hash: what is signed of the message, then the signature itself with an empty b= and without its
 * CRLF.
 */
export function headerHashInput(
  fields: Uint8Array,
  unsigned: string,
  canonicalization: Canonicalization,
): Buffer {
  // The signature becomes no longer, but for the CRLF that is taken off again.
  const input = Buffer.allocUnsafe(fields.length + unsigned.length + CRLF_OCTETS)
  input.set(fields)
  const own = input.subarray(fields.length, fields.length + input.write(unsigned, fields.length, 'latin1'))
  const end = canonicalizeField(canonicalization, own, input, fields.length)
  return input.subarray(0, canonicalization === 'simple' ? end : end - CRLF_OCTETS)
}

/** The fields as they are signed, in the order of h= (RFC 6376 §3.7). */
export function canonicalizeFields(fields: readonly Field[], canonicalization: Canonicalization): Uint8Array {
  let longest = 0
  for (const { octets } of fields) longest += octets.length + CRLF_OCTETS
  const input = Buffer.allocUnsafe(longest)
  let end = 0
  for (const { octets } of fields) end = canonicalizeField(canonicalization, octets, input, end)
  return input.subarray(0, end)
}
