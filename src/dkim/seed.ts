/**
 * Keys from a seed: the same seed, signing domain, kind and (where one is given) selector give the same key, on every
 * machine and in every release, so that one line to keep safe is all a signer has. Nothing here may ever change for a `v1`
 * key.
 *
 *   generator   HMAC_DRBG of NIST SP 800-90A §10.1.2 with SHA-256: entropy input = the seed, nonce empty, personalization
 *               string = the words below with NUL between them
 *                 RSA      "ptt dkim rsa v1", signing domain, bits in decimal [, selector]
 *                 Ed25519  "ptt dkim ed25519 v1", signing domain [, selector]
 *               With a selector each rotation has a key of its own; without one there is one key a domain, for ever.
 *   RSA primes  FIPS 186-5 §A.1.3: a candidate is bits/2 bits of the generator with the two highest and the lowest
 *               set (hence ≥ √2·2^(bits/2-1)); it is taken when gcd(candidate - 1, e) = 1 and it is probably prime
 *               (Miller-Rabin, error below 2^-64 for these), q also when |p - q| > 2^(bits/2-100)
 *   RSA key     e = 65537, p > q, d = e^-1 mod lcm(p-1, q-1), which must be > 2^(bits/2); else both primes anew
 *   Ed25519     the first 32 octets of the generator are the private key of RFC 8032 §5.1.5
 */

import { checkPrimeSync, createHmac, createPrivateKey, type KeyObject } from 'node:crypto'

/** 256 bits. A person cannot think of that much: seeds come from a random generator. */
export const MIN_SEED_OCTETS = 32
// RFC 8301 §3.2: signers use at least 2048 bits.
export const KEY_SIZES: readonly number[] = [2048, 3072, 4096]
const E = 65537n

/**
 * An RSA key; its strength is the seed's. Takes some tenths of a second, 4096 bits some seconds.
 * @throws RangeError for a short seed or an odd size
 */
export function deriveKey(
  seed: Uint8Array,
  signingDomain: string,
  bits: number,
  selector?: string,
): KeyObject {
  if (!KEY_SIZES.includes(bits))
    throw new RangeError(`an RSA key has ${KEY_SIZES.join(', ')} bits, not ${bits}`)
  const generator = generatorOf(seed, 'ptt dkim rsa v1', signingDomain, String(bits), selector)
  for (;;) {
    const one = prime(generator, bits / 2, () => true)
    const other = prime(generator, bits / 2, prime => abs(one - prime) > 1n << BigInt(bits / 2 - 100))
    const key = one > other ? rsaKey(one, other, bits) : rsaKey(other, one, bits)
    if (key !== null) return key
  }
}

/** RFC 8410 §7: a PrivateKeyInfo is these octets before the 32 of the key. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** An Ed25519 key; its strength is the seed's. @throws RangeError for a short seed */
export function deriveEd25519Key(seed: Uint8Array, signingDomain: string, selector?: string): KeyObject {
  const generator = generatorOf(seed, 'ptt dkim ed25519 v1', signingDomain, selector)
  const key = Buffer.concat([ED25519_PKCS8, generator.generate(32)])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

/** None of the words holds a NUL: no two lists of words make the same string. */
function generatorOf(seed: Uint8Array, ...words: (string | undefined)[]): HmacDrbg {
  if (seed.length < MIN_SEED_OCTETS) throw new RangeError(`a seed has at least ${MIN_SEED_OCTETS} octets`)
  return new HmacDrbg(seed, words.filter(word => word !== undefined).join('\0'))
}

function prime(generator: HmacDrbg, bits: number, accept: (candidate: bigint) => boolean): bigint {
  const high = 3n << BigInt(bits - 2)
  for (;;) {
    const candidate = BigInt(`0x${generator.generate(bits / 8).toString('hex')}`) | high | 1n
    if (!accept(candidate) || hasSmallFactor(candidate)) continue
    // e is prime: gcd(candidate - 1, e) is 1 unless e divides.
    if ((candidate - 1n) % E !== 0n && checkPrimeSync(candidate)) return candidate
  }
}

function rsaKey(p: bigint, q: bigint, bits: number): KeyObject | null {
  const lcm = ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n)
  const d = inverse(E, lcm)
  if (d <= 1n << BigInt(bits / 2)) return null
  const jwk = { n: p * q, e: E, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  const members = Object.entries(jwk).map(([name, value]) => [name, base64url(value)])
  return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(members) }, format: 'jwk' })
}

/** HMAC_DRBG, NIST SP 800-90A §10.1.2, without reseeding: a key takes far fewer than 2^48 requests. */
export class HmacDrbg {
  #key: Buffer = Buffer.alloc(32, 0)
  #value: Buffer = Buffer.alloc(32, 1)

  /** §10.1.2.3; `entropy` is entropy input and nonce. */
  constructor(entropy: Uint8Array, personalization: string | Uint8Array) {
    this.#update(Buffer.concat([entropy, Buffer.from(personalization)]))
  }

  /** §10.1.2.5 */
  generate(octets: number): Buffer {
    const blocks: Buffer[] = []
    for (let length = 0; length < octets; length += this.#value.length) {
      this.#value = hmac(this.#key, this.#value)
      blocks.push(this.#value)
    }
    this.#update(Buffer.alloc(0))
    return Buffer.concat(blocks).subarray(0, octets)
  }

  // §10.1.2.2
  #update(provided: Buffer): void {
    for (const round of provided.length === 0 ? [0] : [0, 1]) {
      this.#key = hmac(this.#key, this.#value, Buffer.from([round]), provided)
      this.#value = hmac(this.#key, this.#value)
    }
  }
}

function hmac(key: Buffer, ...data: Buffer[]): Buffer {
  const mac = createHmac('sha256', key)
  for (const octets of data) mac.update(octets)
  return mac.digest()
}

/** Made when the first key is derived: this file is loaded by services that derive none. */
let product: bigint | undefined

/** Only for speed: seven candidates of eight have a factor this small, and cost one division here. */
function hasSmallFactor(candidate: bigint): boolean {
  product ??= oddPrimesBelow(2000).reduce((product, prime) => product * BigInt(prime), 1n)
  return gcd(product, candidate % product) !== 1n
}

function oddPrimesBelow(limit: number): number[] {
  const primes: number[] = []
  for (let n = 3; n < limit; n += 2) if (primes.every(prime => n % prime !== 0)) primes.push(n)
  return primes
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

/** a^-1 mod m, by Euclid's extended algorithm; a and m are coprime. */
function inverse(a: bigint, m: bigint): bigint {
  let [r, nextR] = [m, a % m]
  let [t, nextT] = [0n, 1n]
  while (nextR !== 0n) {
    const quotient = r / nextR
    ;[r, nextR] = [nextR, r - quotient * nextR]
    ;[t, nextT] = [nextT, t - quotient * nextT]
  }
  return t < 0n ? t + m : t
}

function abs(n: bigint): bigint {
  return n < 0n ? -n : n
}

function base64url(n: bigint): string {
  const hex = n.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
}
