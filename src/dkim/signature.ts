/** The DKIM-Signature field, RFC 6376 §3.5, and the data its header hash is computed over, §3.7. */

import type { Field } from '../message/header.ts'
import { type Canonicalization, canonicalizeField } from './canonicalization.ts'
import { formatTagList } from './tag-list.ts'

export interface Signature {
  readonly algorithm: 'rsa-sha256'
  readonly signingDomain: string
  readonly selector: string
  /** Header and body. */
  readonly canonicalization: readonly [Canonicalization, Canonicalization]
  /** The names of h=, in order. */
  readonly signedFields: readonly string[]
  readonly bodyHash: string
  readonly timestampSeconds: number
  readonly expirationSeconds?: number
}

const LINE_PREFERRED = 78

/**
 * The field without the value of b=, which comes last, and without CRLF. h= and bh= are folded where RFC 6376 §3.5 has
 * FWS, the rest between tags.
 */
export function formatUnsigned(signature: Signature): string {
  const tags: [string, string][] = [
    ['v', '1'],
    ['a', signature.algorithm],
    ['c', signature.canonicalization.join('/')],
    ['d', signature.signingDomain],
    ['s', signature.selector],
    ['t', String(signature.timestampSeconds)],
  ]
  if (signature.expirationSeconds !== undefined) tags.push(['x', String(signature.expirationSeconds)])
  const lines = foldWords(`DKIM-Signature: ${formatTagList(tags)};`.split(' '), ' ')
  const names = signature.signedFields.map((name, i) => (i === 0 ? `h=${name}` : name))
  const h = foldWords(names, ':')
  return `${lines}\r\n\t${h};\r\n\tbh=${signature.bodyHash};\r\n\tb=`
}

/** b= of RFC 6376 §3.5: base64 on lines of its own. */
export function foldBase64(value: string): string {
  return (value.match(/.{1,72}/g) ?? []).join('\r\n\t')
}

// The separator stays at the end of a line, so that nothing but white space is put in (RFC 6376 §3.5: FWS after ":").
function foldWords(words: readonly string[], separator: string): string {
  let folded = ''
  let line = ''
  for (const word of words) {
    if (line !== '' && line.length + separator.length + word.length + 1 >= LINE_PREFERRED) {
      folded += `${line}${separator.trimEnd()}\r\n\t`
      line = word
    } else line = line === '' ? word : `${line}${separator}${word}`
  }
  return folded + line
}

/**
 * The data of the header hash: each name of h= takes the last field of that name not yet taken, or nothing (§5.4.2);
 * then the signature itself with an empty b= and without its CRLF. latin1: a character is an octet.
 */
export function headerHashInput(
  header: readonly Field[],
  signedFields: readonly string[],
  canonicalization: Canonicalization,
  unsigned: string,
): string {
  const waiting = new Map<string, Field[]>()
  for (const field of header) {
    const name = field.name.toLowerCase()
    const same = waiting.get(name)
    if (same) same.push(field)
    else waiting.set(name, [field])
  }
  let input = ''
  for (const name of signedFields) {
    const field = waiting.get(name.toLowerCase())?.pop()
    if (field) input += canonicalizeField(canonicalization, latin1(field.octets))
  }
  const own = canonicalizeField(canonicalization, unsigned)
  return input + (own.endsWith('\r\n') ? own.slice(0, -2) : own)
}

function latin1(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1')
}
