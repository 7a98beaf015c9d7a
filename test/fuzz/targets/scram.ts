/** SCRAM as the example of RFC 7677 §3 has it: a server whose nonce is always that one, and a client's. */

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import type { SaslOptions, ScramClientCrypto, ScramHash, ScramVerifier } from '../../../src/smtp/sasl.ts'

const DIGEST = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' } as const

const CRYPTO = {
  nonce: () => '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  hash: (name: ScramHash, text: Uint8Array) => createHash(DIGEST[name]).update(text).digest(),
  hmac: (name: ScramHash, key: Uint8Array, text: string) =>
    createHmac(DIGEST[name], key).update(text).digest(),
}

export const SASL: SaslOptions = { scram: CRYPTO, scope: 'mail' }

/** Without the iterations, which are no matter of parsing. */
export const CLIENT_CRYPTO: ScramClientCrypto = {
  ...CRYPTO,
  nonce: () => 'rOprNGfwEbeRWgbNEkqO',
  saltedPassword: (name, password, salt) => CRYPTO.hmac(name, salt, password),
}

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const ITERATIONS = 4096

function derive(name: ScramHash): ScramVerifier {
  const salted = pbkdf2Sync('pencil', SALT, ITERATIONS, name === 'SHA-1' ? 20 : 32, DIGEST[name])
  return {
    iterations: ITERATIONS,
    salt: SALT,
    storedKey: CRYPTO.hash(name, CRYPTO.hmac(name, salted, 'Client Key')),
    serverKey: CRYPTO.hmac(name, salted, 'Server Key'),
  }
}

const VERIFIERS = { 'SHA-1': derive('SHA-1'), 'SHA-256': derive('SHA-256') }

export const verifierOf = (mechanism: string): ScramVerifier =>
  VERIFIERS[mechanism.includes('SHA-256') ? 'SHA-256' : 'SHA-1']

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const NONCE = `rOprNGfwEbeRWgbNEkqO${CRYPTO.nonce()}`

/** What the client of the example says, a line each; the last acknowledges the server's signature. */
export const RFC_7677: readonly string[] = [
  `AUTH SCRAM-SHA-256 ${base64('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')}\r\n`,
  `${base64(`c=biws,r=${NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`)}\r\n`,
  '\r\n',
]
