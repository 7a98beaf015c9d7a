/**
 * Bearer tokens of OAUTHBEARER and XOAUTH2: JSON Web Tokens (RFC 7519, 9068) of one issuer for one audience, checked with
 * the issuer's public keys (RFC 7517). Nothing of a token is logged but the name in it.
 */

import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'

export type TokenVerdict =
  | { readonly kind: 'valid'; readonly username: string }
  | { readonly kind: 'invalid'; readonly reason: string }
  /** The keys cannot be had now: nothing is known about the token. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** Finds the key that a token says it was signed with. */
export type TokenKeys = JWTVerifyGetKey

export interface TokenOptions {
  readonly issuer: string
  readonly audience: string
  /** The claim that holds the user's name, as the directory has it. */
  readonly usernameClaim: string
  /** One that a token must have, where one is asked for. */
  readonly scope?: string | undefined
  readonly now: () => number
}

/** Those with a public key and no other: a token "signed" with the public key as the secret of an HMAC is none. */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')
/** Clocks differ. */
const TOLERANCE_SECONDS = 30
const FETCH_MS = 5000

/** Of a JWK Set that was read. @throws Error where it is none. */
export function localKeys(document: unknown): TokenKeys {
  return createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0])
}

/** Of the JWK Set at `url`: fetched when it is needed, every ten minutes at most, and for a key that is not among them. */
export function remoteKeys(url: string): TokenKeys {
  return createRemoteJWKSet(new URL(url), { timeoutDuration: FETCH_MS })
}

export class TokenVerifier {
  readonly #options: TokenOptions
  #keys: TokenKeys

  constructor(options: TokenOptions, keys: TokenKeys) {
    this.#options = options
    this.#keys = keys
  }

  /** For the tokens to come. */
  renew(keys: TokenKeys): void {
    this.#keys = keys
  }

  async check(token: string): Promise<TokenVerdict> {
    const { issuer, audience, now } = this.#options
    if (token === '') return { kind: 'invalid', reason: 'there is no token' }
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        currentDate: new Date(now()),
        clockTolerance: TOLERANCE_SECONDS,
        // One that never ends could not be taken back.
        requiredClaims: ['exp'],
      })
      return this.#named(payload)
    } catch (error) {
      return verdictOf(error)
    }
  }

  #named(payload: JWTPayload): TokenVerdict {
    const { usernameClaim, scope } = this.#options
    if (scope !== undefined && !scopesOf(payload).includes(scope)) {
      return { kind: 'invalid', reason: `the token is not for the scope ${scope}` }
    }
    const username = payload[usernameClaim]
    if (typeof username !== 'string' || username === '') {
      return { kind: 'invalid', reason: `the token has no claim ${usernameClaim}` }
    }
    // OpenID Connect Core §5.1: an address that anybody may have given at the issuer is nobody's.
    if (usernameClaim === 'email' && payload.email_verified === false) {
      return { kind: 'invalid', reason: `the issuer has not verified the address ${username}` }
    }
    return { kind: 'valid', username }
  }
}

// RFC 8693 §4.2: scope = scope-token *( SP scope-token ); "scp" is Microsoft's name for it.
function scopesOf({ scope, scp }: JWTPayload): unknown[] {
  const written = scope ?? scp
  return Array.isArray(written) ? written : typeof written === 'string' ? written.split(' ') : []
}

/** What the JWK Set's server did, or a network: not the token's fault. */
const NO_KEYS = new Set<string>([
  errors.JWKSTimeout.code,
  errors.JWKSInvalid.code,
  // Not 200, or not JSON.
  errors.JOSEError.code,
])

function verdictOf(error: unknown): TokenVerdict {
  const reason = error instanceof Error ? error.message : String(error)
  if (!(error instanceof errors.JOSEError) || NO_KEYS.has(error.code)) {
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
    return { kind: 'unknown', reason: `the keys of the issuer cannot be had: ${reason}${cause}` }
  }
  return { kind: 'invalid', reason: `the token is not valid: ${reason}` }
}
