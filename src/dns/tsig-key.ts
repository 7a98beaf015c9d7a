/**
 * TSIG keys as operators write them: on one line, NAME:ALGORITHM:BASE64, or as the `key` statement that
 * `tsig-keygen` of BIND prints and `nsupdate -k` reads. Only the SHA-2 algorithms are taken (RFC 8945 §6).
 */

import { canonicalName, type NameError } from './name.ts'

export const TSIG_ALGORITHMS = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number]

export interface TsigKey {
  /** A domain name, lower case. */
  readonly name: string
  readonly algorithm: TsigAlgorithm
  readonly secret: Uint8Array
}

/** Is not a TSIG key; the message says what to write and never quotes the secret. */
export class TsigKeyError extends Error {
  override readonly name = 'TsigKeyError'
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * `NAME:ALGORITHM:BASE64`, the name being a domain name such as `x._update.example.com`; or BIND's
 * `key "NAME" { algorithm ALGORITHM; secret "BASE64"; };`, with comments.
 *
 * @throws TsigKeyError
 */
export function parseTsigKey(text: string): TsigKey {
  return /\bkey\b[^:]*\{/.test(text) ? parseKeyStatement(text) : parseKeyLine(text)
}

export function formatTsigKey(key: TsigKey): string {
  return `${key.name}:${key.algorithm}:${Buffer.from(key.secret).toString('base64')}`
}

function parseKeyLine(text: string): TsigKey {
  const [name, algorithm, secret, ...rest] = text.trim().split(':')
  if (!name || !algorithm || !secret || rest.length > 0) {
    throw new TsigKeyError(
      'a TSIG key is written NAME:ALGORITHM:BASE64, for example update.example.com:hmac-sha256:…, or as ' +
        'tsig-keygen prints it: key "NAME" { algorithm hmac-sha256; secret "…"; };',
    )
  }
  return makeKey(name, algorithm, secret)
}

const COMMENT = /\/\*.*?\*\/|(?:\/\/|#)[^\n]*/gs
/** A quoted string, a sign, or a word. A comment sign inside quotes is none: Base64 has `//`. */
const TOKEN = new RegExp(`"([^"\\n]*)"|([{};])|${COMMENT.source}|([^\\s"{};#]+)`, 'gs')

// key "NAME" { algorithm ALGORITHM; secret "BASE64"; }; in BIND's named.conf(5).
function parseKeyStatement(text: string): TsigKey {
  const tokens = [...text.matchAll(TOKEN)].flatMap(([, quoted, sign, word]) => quoted ?? sign ?? word ?? [])
  const [key, name = '', open, ...body] = tokens
  const close = body.indexOf('}')
  const after = body.slice(close + 1).filter(token => token !== ';')
  if (key !== 'key' || open !== '{' || close === -1 || after.length > 0 || /[:\s{};]/.test(name)) {
    const what = after.includes('key') ? 'there is more than one' : 'it is written otherwise'
    throw new TsigKeyError(
      `a file with a TSIG key has one statement key "NAME" { algorithm …; secret "…"; }; ${what}`,
    )
  }
  const clauses = new Map<string, string>()
  for (let at = 0; at < close; at += 3) {
    const [clause = '', value = '', end] = body.slice(at, at + 3)
    if (end !== ';' || clauses.has(clause) || !['algorithm', 'secret'].includes(clause)) {
      throw new TsigKeyError(`TSIG key ${name}: a key has algorithm and secret, each ended with ";"`)
    }
    clauses.set(clause, value)
  }
  const algorithm = clauses.get('algorithm')
  const secret = clauses.get('secret')
  if (!algorithm || !secret) throw new TsigKeyError(`TSIG key ${name}: algorithm or secret is missing`)
  return makeKey(name, algorithm, secret)
}

/** SHA256 is how the command line of OCaml's DNS tools names it. */
const ALIAS = /^sha(?=256$|384$|512$)/

function makeKey(name: string, written: string, secret: string): TsigKey {
  const bare = written.toLowerCase().replace(/\.$/, '')
  const algorithm = TSIG_ALGORITHMS.find(known => known === bare.replace(ALIAS, 'hmac-sha'))
  if (algorithm === undefined) {
    const weak = /(?:^|-)(?:md5|sha-?1)(?:\.|$)/.test(bare)
      ? ': it must not be used any more (RFC 8945 §6); make a new key, for example with tsig-keygen -a hmac-sha256'
      : ''
    throw new TsigKeyError(
      `TSIG key ${name}: '${written}' is not one of ${TSIG_ALGORITHMS.join(', ')}${weak}`,
    )
  }
  if (!BASE64.test(secret)) throw new TsigKeyError(`TSIG key ${name}: the secret is not Base64`)
  try {
    return { name: canonicalName(name), algorithm, secret: Buffer.from(secret, 'base64') }
  } catch (cause) {
    throw new TsigKeyError(`TSIG key ${name}: ${(cause as NameError).message}`, { cause })
  }
}
