/** The client's half of SCRAM, RFC 5802 §5: it proves that it knows the password, and wants the server to prove the same. */

import { encodeBase64 } from './base64.ts'
import { formatSaslName } from './gs2.ts'
import type { ClientContext, ClientCredentials, ClientMechanism } from './mechanism.ts'
import { EMPTY } from './mechanism.ts'
import {
  authMessage,
  formatChannelBinding,
  formatClientFirstBare,
  parseServerFinal,
  parseServerFirst,
  type ScramClientCrypto,
  type ScramHash,
  sameOctets,
  TLS_EXPORTER,
  xor,
} from './scram.ts'
import { utf8OrNull } from './text.ts'

/** RFC 7677 §4: fewer make it easy to find the password out, which is what a false server would want. */
const MIN_ITERATIONS = 4096
/** RFC 5802 §9: a hostile server may keep a client busy; these take two seconds. */
const MAX_ITERATIONS = 10_000_000

export class ScramClient implements ClientMechanism {
  readonly #hash: ScramHash
  readonly #crypto: ScramClientCrypto
  readonly #password: string
  readonly #gs2Header: string
  readonly #binding: Uint8Array | null
  readonly #nonce: string
  readonly #bare: string
  #serverSignature: Uint8Array | null = null
  #satisfied = false

  constructor(
    hash: ScramHash,
    variant: 'plain' | 'plus',
    { username, password, authorizationIdentity = '' }: ClientCredentials,
    { scram, channelBinding = null }: ClientContext,
  ) {
    if (scram === undefined) throw new Error('SCRAM without its hashes')
    if (variant === 'plus' && channelBinding === null) throw new Error('-PLUS without a channel to bind to')
    this.#hash = hash
    this.#crypto = scram
    this.#password = password
    this.#binding = variant === 'plus' && channelBinding !== null ? channelBinding() : null
    // RFC 5802 §6: "y" where we could and the server does not seem to.
    const flag = variant === 'plus' ? `p=${TLS_EXPORTER}` : channelBinding === null ? 'n' : 'y'
    const authzid = authorizationIdentity === '' ? '' : `a=${formatSaslName(authorizationIdentity)}`
    this.#gs2Header = `${flag},${authzid},`
    this.#nonce = scram.nonce()
    this.#bare = formatClientFirstBare(username, this.#nonce)
  }

  get initialResponse(): Uint8Array {
    return Buffer.from(this.#gs2Header + this.#bare)
  }

  get satisfied(): boolean {
    return this.#satisfied
  }

  respond(challenge: Uint8Array): Uint8Array | null {
    if (this.#satisfied) return null
    if (this.#serverSignature !== null) return this.#check(challenge, this.#serverSignature)
    return challenge.length === 0 ? this.initialResponse : this.#prove(challenge)
  }

  #prove(challenge: Uint8Array): Uint8Array | null {
    const serverFirst = utf8OrNull(challenge)
    const parsed = serverFirst === null ? null : parseServerFirst(serverFirst)
    if (serverFirst === null || parsed === null) return null
    const { nonce, salt, iterations } = parsed
    // "The client MUST verify that the initial part of the nonce … is the same": and that there is another part.
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) return null
    if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) return null
    const hmac = (key: Uint8Array, text: string) => this.#crypto.hmac(this.#hash, key, text)
    const salted = this.#crypto.saltedPassword(this.#hash, this.#password, salt, iterations)
    const clientKey = hmac(salted, 'Client Key')
    const withoutProof = `c=${formatChannelBinding(this.#gs2Header, this.#binding)},r=${nonce}`
    const message = authMessage(this.#bare, serverFirst, withoutProof)
    const clientSignature = hmac(this.#crypto.hash(this.#hash, clientKey), message)
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message)
    return Buffer.from(`${withoutProof},p=${encodeBase64(xor(clientKey, clientSignature))}`)
  }

  #check(challenge: Uint8Array, expected: Uint8Array): Uint8Array | null {
    const signature = parseServerFinal(utf8OrNull(challenge) ?? '')
    this.#satisfied = signature !== null && sameOctets(signature, expected)
    return this.#satisfied ? EMPTY : null
  }
}
