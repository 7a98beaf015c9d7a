/** What SCRAM (`smtp/sasl/scram.ts`) needs that computes or draws lots, and what it shows of users who are not there. */

import { createHash, createHmac, hkdfSync, pbkdf2Sync, randomBytes } from 'node:crypto'
import saslprep from 'saslprep'
import type { ScramClientCrypto, ScramHash, ScramVerifier } from '../smtp/sasl.ts'
import { DEFAULT_ITERATIONS, SALT_OCTETS } from './password.ts'

const DIGEST = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' } as const
const KEY_OCTETS = { 'SHA-1': 20, 'SHA-256': 32 } as const
/** 144 bits: nobody sees one twice (RFC 5802 §5.1, RFC 4086). */
const NONCE_OCTETS = 18

export const scramCrypto: ScramClientCrypto = {
  nonce: () => randomBytes(NONCE_OCTETS).toString('base64'),
  hash: (name, text) => createHash(DIGEST[name]).update(text).digest(),
  hmac: (name, key, text) => createHmac(DIGEST[name], key).update(text).digest(),
  saltedPassword: (name, password, salt, iterations) =>
    pbkdf2Sync(normalize(password), salt, iterations, KEY_OCTETS[name], DIGEST[name]),
}

// RFC 4013 §2: a password that may not be prepared can only be sent as it is, and be wrong.
function normalize(password: string): string {
  try {
    return saslprep(password)
  } catch {
    return password
  }
}

/**
 * Verifiers for users who are not there, so that a challenge tells nobody who is: the same for a name each time, as a
 * user's is, and of the kind that `ptt user` makes. No password fits them.
 */
export class Decoys {
  readonly #key: Uint8Array

  /** `secret`: of the deployment, so that a decoy outlives a restart as a user does. */
  constructor(secret: string) {
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', 'ptt SCRAM verifiers of unknown users', 32))
  }

  verifier(hash: ScramHash, username: string): ScramVerifier {
    const draw = (what: string, octets: number) =>
      createHmac('sha256', this.#key).update(`${what}\0${hash}\0${username}`).digest().subarray(0, octets)
    return {
      iterations: DEFAULT_ITERATIONS,
      salt: draw('salt', SALT_OCTETS),
      storedKey: draw('StoredKey', KEY_OCTETS[hash]),
      serverKey: draw('ServerKey', KEY_OCTETS[hash]),
    }
  }
}
