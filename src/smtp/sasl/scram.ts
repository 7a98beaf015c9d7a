/**
 * SCRAM, RFC 5802 and 7677: its four messages as values, and the algorithm of §3. Hashes and randomness are handed in.
 */

import { decodeBase64, encodeBase64 } from './base64.ts'
import { formatSaslName, type Gs2Header, parseGs2Header, parseSaslName } from './gs2.ts'
import { malformed } from './text.ts'

/** As IANA's "Hash Function Textual Names" has them, and mechanism names (RFC 5802 §4). */
export type ScramHash = 'SHA-1' | 'SHA-256'

export interface ScramCrypto {
  /** Printable ASCII without a comma, never the same twice (RFC 5802 §5.1). */
  nonce(): string
  /** H(text), RFC 5802 §2.2. */
  hash(name: ScramHash, text: Uint8Array): Uint8Array
  /** HMAC(key, text), RFC 5802 §2.2. */
  hmac(name: ScramHash, key: Uint8Array, text: string): Uint8Array
}

/** Only a client derives keys; a server never has the password. */
export interface ScramClientCrypto extends ScramCrypto {
  /** Hi(Normalize(password), salt, iterations), RFC 5802 §2.2. */
  saltedPassword(name: ScramHash, password: string, salt: Uint8Array, iterations: number): Uint8Array
}

export interface ScramKeys {
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** "Authentication information" of RFC 5802 §2.1: what a server keeps of a password. */
export interface ScramVerifier extends ScramKeys {
  readonly iterations: number
  readonly salt: Uint8Array
  /** Of other passwords of the same user, under the same salt and iteration count: the proof tells which one it is. */
  readonly others?: readonly ScramKeys[]
}

/** RFC 9266: the only channel binding type that there is here. */
export const TLS_EXPORTER = 'tls-exporter'

export interface ClientFirst {
  readonly gs2: Gs2Header
  readonly username: string
  readonly nonce: string
  /** client-first-message-bare, as it came. */
  readonly bare: string
}

// attr-val = ALPHA "=" value; extensions = attr-val *("," attr-val). They are ignored, but "m" must be understood, and
// there is none yet (RFC 5802 §5.1).
const EXTENSIONS = '(?:,[A-Za-ln-z]=[^,\\0]+)*'
// nonce = "r=" c-nonce [s-nonce]; printable = %x21-2B / %x2D-7E.
const NONCE = 'r=([\\x21-\\x2b\\x2d-\\x7e]+)'
// base64 = *base64-4 [base64-3 / base64-2]; decodeBase64 is exact.
const BASE64 = '([A-Za-z0-9+/=]+)'

// client-first-message = gs2-header client-first-message-bare;
// client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
const CLIENT_FIRST_BARE = new RegExp(`^n=([^,]+),${NONCE}${EXTENSIONS}$`)

/** @throws SmtpError 501 5.5.2 */
export function parseClientFirst(message: string): ClientFirst {
  const gs2 = parseGs2Header(message)
  const bare = message.slice(gs2.text.length)
  const [, username, nonce] = CLIENT_FIRST_BARE.exec(bare) ?? []
  if (username === undefined || nonce === undefined) throw malformed('client-first-message')
  return { gs2, username: parseSaslName(username), nonce, bare }
}

export function formatClientFirstBare(username: string, nonce: string): string {
  return `n=${formatSaslName(username)},r=${nonce}`
}

export interface ServerFirst {
  /** The client's, with the server's behind it. */
  readonly nonce: string
  readonly salt: Uint8Array
  readonly iterations: number
}

// server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions];
// iteration-count = "i=" posit-number.
const SERVER_FIRST = new RegExp(`^${NONCE},s=${BASE64},i=([1-9]\\d{0,9})${EXTENSIONS}$`)

/** `null` where it is none. */
export function parseServerFirst(message: string): ServerFirst | null {
  const [, nonce = '', salt = '', iterations] = SERVER_FIRST.exec(message) ?? []
  const octets = decodeBase64(salt)
  return iterations === undefined || octets === null
    ? null
    : { nonce, salt: octets, iterations: Number(iterations) }
}

export function formatServerFirst({ nonce, salt, iterations }: ServerFirst): string {
  return `r=${nonce},s=${encodeBase64(salt)},i=${iterations}`
}

export interface ClientFinal {
  /** The value of "c=", in base64. */
  readonly channelBinding: string
  readonly nonce: string
  readonly proof: Uint8Array
  /** client-final-message-without-proof, as it came. */
  readonly withoutProof: string
}

// client-final-message = client-final-message-without-proof "," proof;
// client-final-message-without-proof = channel-binding "," nonce ["," extensions]
const CLIENT_FINAL = new RegExp(`^(c=${BASE64},${NONCE}${EXTENSIONS}),p=${BASE64}$`)

/** @throws SmtpError 501 5.5.2 */
export function parseClientFinal(message: string): ClientFinal {
  const [, withoutProof, channelBinding = '', nonce = '', proof = ''] = CLIENT_FINAL.exec(message) ?? []
  const octets = decodeBase64(proof)
  if (withoutProof === undefined || octets === null) throw malformed('client-final-message')
  return { channelBinding, nonce, proof: octets, withoutProof }
}

// channel-binding = "c=" base64: cbind-input = gs2-header [ cbind-data ].
export function formatChannelBinding(gs2Header: string, data: Uint8Array | null): string {
  return encodeBase64(Buffer.concat([Buffer.from(gs2Header), data ?? Buffer.alloc(0)]))
}

// server-final-message = (server-error / verifier) ["," extensions]
const SERVER_FINAL = new RegExp(`^v=${BASE64}${EXTENSIONS}$`)

/** ServerSignature; `null` where the message has none. */
export function parseServerFinal(message: string): Uint8Array | null {
  return decodeBase64(SERVER_FINAL.exec(message)?.[1] ?? '*')
}

/** RFC 5802 §3: what both sides sign. */
export function authMessage(clientFirstBare: string, serverFirst: string, withoutProof: string): string {
  return `${clientFirstBare},${serverFirst},${withoutProof}`
}

/** The proof, or the key it hides: each is the other XOR ClientSignature (RFC 5802 §3). */
export function xor(one: Uint8Array, other: Uint8Array): Uint8Array {
  return one.map((octet, at) => octet ^ (other[at] ?? 0))
}

/** In a time that does not depend on what is in them. */
export function sameOctets(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false
  return one.reduce((different, octet, at) => different | (octet ^ (other[at] ?? 0)), 0) === 0
}
