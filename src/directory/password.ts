/**
 * Password verifiers: what the repository holds instead of passwords, RFC 5802 §3 with SHA-256 of RFC 7677.
 *
 * One SCRAM verifier serves PLAIN, LOGIN and SCRAM-SHA-256. Nothing about a password is kept: every check derives the keys
 * again, on the thread pool, from the password the client sent (2.8 ms at DEFAULT_ITERATIONS, measured), so there is no
 * cache that could leak or that a revoked password could outlive.
 */

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import saslprep from 'saslprep'

export type Verifier = ScramVerifier | LegacyVerifier

/** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the last three in base64. */
export interface ScramVerifier extends ScramKeys {
  readonly scheme: 'SCRAM-SHA-256'
}

/** The same with SHA-1: for the mechanism SCRAM-SHA-1 and nothing else. It stands beside the other, never alone. */
export interface ScramSha1Verifier extends ScramKeys {
  readonly scheme: 'SCRAM-SHA-1'
}

interface ScramKeys {
  readonly iterations: number
  readonly salt: Uint8Array
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** The original ptt's: BLAKE2B-512 of the password's octets as they came, no salt, 128 hex digits. */
export interface LegacyVerifier {
  readonly scheme: 'BLAKE2B-512'
  readonly digest: Uint8Array
}

/** RFC 7677 §4: "the hash iteration-count SHOULD be at least 4096". Fewer is refused as weak. */
export const MIN_ITERATIONS = 4096
/** RFC 7677 §4: its rule of thumb "gives around 15,000 iterations". */
export const DEFAULT_ITERATIONS = 15_000
/** Whoever may commit must not be able to keep the thread pool busy for seconds per sign-in. */
const MAX_ITERATIONS = 1_000_000
/** Longer passwords are nobody's: the cost of a check stays bounded. */
const MAX_PASSWORD_OCTETS = 1024
const KEY_OCTETS = 32
export const SALT_OCTETS = 16
const MIN_SALT_OCTETS = 8
const MAX_SALT_OCTETS = 1024

const SCRAM =
  /^SCRAM-SHA-256\$([1-9]\d{0,8}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/
const SCRAM_SHA_1 =
  /^SCRAM-SHA-1\$([1-9]\d{0,8}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{27}=):([A-Za-z0-9+/]{27}=)$/
const LEGACY = /^[0-9a-f]{128}$/i

/** What is wrong with a verifier or a password, in words that never repeat it. */
export class VerifierError extends Error {
  override readonly name = 'VerifierError'
}

export function parseVerifier(text: string): Verifier {
  if (LEGACY.test(text)) return { scheme: 'BLAKE2B-512', digest: Buffer.from(text, 'hex') }
  return { scheme: 'SCRAM-SHA-256', ...parseScramKeys(text, SCRAM) }
}

export function parseSha1Verifier(text: string): ScramSha1Verifier {
  if (!SCRAM_SHA_1.test(text)) {
    throw new VerifierError(
      'malformed second verifier: it reads SCRAM-SHA-1$<iterations>:<salt>$<StoredKey>:<ServerKey>, with 20-octet keys in base64',
    )
  }
  return { scheme: 'SCRAM-SHA-1', ...parseScramKeys(text, SCRAM_SHA_1) }
}

function parseScramKeys(text: string, form: RegExp): ScramKeys {
  const [, iterations, salt, storedKey, serverKey] = form.exec(text) ?? []
  if (!iterations || !salt || !storedKey || !serverKey) throw new VerifierError(explain(text))
  const verifier: ScramKeys = {
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(storedKey, 'base64'),
    serverKey: Buffer.from(serverKey, 'base64'),
  }
  if (verifier.iterations < MIN_ITERATIONS)
    throw new VerifierError(
      `weak hash: ${iterations} iterations, at least ${MIN_ITERATIONS} are asked (RFC 7677 §4)`,
    )
  if (verifier.iterations > MAX_ITERATIONS)
    throw new VerifierError(
      `${iterations} iterations are more than ${MAX_ITERATIONS}: each sign-in would take seconds`,
    )
  if (verifier.salt.length < MIN_SALT_OCTETS || verifier.salt.length > MAX_SALT_OCTETS)
    throw new VerifierError(
      `weak hash: the salt has ${verifier.salt.length} octets, ${MIN_SALT_OCTETS} to ${MAX_SALT_OCTETS} are asked`,
    )
  return verifier
}

// The value may be a password in clear: name the kind, never the value.
function explain(text: string): string {
  const wanted = 'SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>'
  if (text.startsWith('SCRAM-SHA-256$'))
    return `malformed verifier: it reads ${wanted}, with 32-octet keys in base64`
  if (text.startsWith('SCRAM-SHA-1$'))
    return 'a SCRAM-SHA-1 verifier stands behind another, in a list: ["SCRAM-SHA-256$…", "SCRAM-SHA-1$…"]'
  if (/^\$(2[abxy]|1|5|6|y|argon2\w*)\$|^\{\w+\}/.test(text))
    return `this kind of hash is not supported: write ${wanted}`
  if (/^[0-9a-f]+$/i.test(text) && text.length >= 32)
    return `weak hash: ${text.length * 4} bits in hex; write ${wanted}`
  return `not a verifier (a password in clear is never stored): write ${wanted}; ptt user passwd makes one`
}

export function formatVerifier(verifier: Verifier | ScramSha1Verifier): string {
  if (verifier.scheme === 'BLAKE2B-512') return Buffer.from(verifier.digest).toString('hex')
  const { scheme, iterations, salt, storedKey, serverKey } = verifier
  return `${scheme}$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`
}

/** Throws a VerifierError when the password may not be stored (RFC 4013 §2.3: control characters and the like). */
export async function makeVerifier(
  password: string,
  options: { readonly iterations?: number; readonly salt?: Uint8Array } = {},
): Promise<ScramVerifier> {
  const { iterations = DEFAULT_ITERATIONS, salt = randomBytes(SALT_OCTETS) } = options
  const prepared = prepare(password)
  if (prepared === null)
    throw new VerifierError(
      `not usable as a password: 1 to ${MAX_PASSWORD_OCTETS} octets, no control or unassigned characters (RFC 4013)`,
    )
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS)
    throw new VerifierError(`iterations: ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`)
  const { storedKey, serverKey } = keys(await saltedPassword(prepared, salt, iterations))
  return { scheme: 'SCRAM-SHA-256', iterations, salt, storedKey, serverKey }
}

/** The null user of verifyPassword: its keys fit no password. */
const NOBODY: ScramVerifier = {
  scheme: 'SCRAM-SHA-256',
  iterations: DEFAULT_ITERATIONS,
  salt: randomBytes(SALT_OCTETS),
  storedKey: randomBytes(KEY_OCTETS),
  serverKey: randomBytes(KEY_OCTETS),
}

/**
 * Whether the password is right. `null` is an unknown user. The unknown user, the legacy verifier, the unusable
 * password and every SCRAM verifier up to DEFAULT_ITERATIONS cost the same time, so that time tells nobody which
 * users exist; only a verifier that was written with more iterations takes longer.
 */
export async function verifyPassword(verifier: Verifier | null, password: string): Promise<boolean> {
  return (await matchPassword(verifier, [], password)) === 0
}

/**
 * Which password it is: 0 the one of `verifier`, from 1 on those of `others`, `null` none. `others` have the salt and the
 * iterations of `verifier` (the schema sees to it): one derivation serves all, and a user with many costs no more time.
 */
export async function matchPassword(
  verifier: Verifier | null,
  others: readonly ScramVerifier[],
  password: string,
): Promise<number | null> {
  const prepared = prepare(password)
  const scram = verifier?.scheme === 'SCRAM-SHA-256' ? verifier : NOBODY
  const derived = await saltedPassword(prepared ?? '', scram.salt, scram.iterations)
  const missing = DEFAULT_ITERATIONS - scram.iterations
  if (missing > 0) await saltedPassword(prepared ?? '', scram.salt, missing)
  const { storedKey } = keys(derived)
  const same = [scram, ...others].map(each => timingSafeEqual(storedKey, each.storedKey)).indexOf(true)
  if (verifier?.scheme === 'BLAKE2B-512')
    return octetsOf(password) && timingSafeEqual(blake2b(password), verifier.digest) ? 0 : null
  return same >= 0 && prepared !== null && verifier !== null ? same : null
}

/**
 * A name as it came, SASLprep'd as a "query string" (RFC 4013 §2.5, RFC 5802 §5.1): unassigned code points may be in it.
 * `null`: it can be nobody's.
 */
export function prepareName(name: string): string | null {
  if (!octetsOf(name)) return null
  try {
    return saslprep(name, { allowUnassigned: true }) || null
  } catch {
    return null
  }
}

/** SASLprep as a "stored string" (RFC 5802 §2.2): unassigned code points are prohibited. */
function prepare(password: string): string | null {
  if (!octetsOf(password)) return null
  try {
    return saslprep(password) || null
  } catch {
    return null
  }
}

function octetsOf(password: string): boolean {
  return password.length > 0 && Buffer.byteLength(password) <= MAX_PASSWORD_OCTETS
}

// RFC 5802 §3: SaltedPassword := Hi(Normalize(password), salt, i), and Hi is PBKDF2 (RFC 2898).
function saltedPassword(prepared: string, salt: Uint8Array, iterations: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(prepared, salt, iterations, KEY_OCTETS, 'sha256', (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}

// RFC 5802 §3: ClientKey := HMAC(SaltedPassword, "Client Key"); StoredKey := H(ClientKey);
// ServerKey := HMAC(SaltedPassword, "Server Key").
function keys(salted: Uint8Array): { storedKey: Buffer; serverKey: Buffer } {
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  return {
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: createHmac('sha256', salted).update('Server Key').digest(),
  }
}

function blake2b(password: string): Buffer {
  return createHash('blake2b512').update(password, 'utf8').digest()
}

function base64(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64')
}
