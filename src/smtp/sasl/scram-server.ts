/** The server's half of SCRAM, RFC 5802 §5, with channel binding (§6) by tls-exporter (RFC 9266). */

import { SmtpError } from '../error.ts'
import type { Reply } from '../reply.ts'
import { encodeBase64 } from './base64.ts'
import type { ServerContext, ServerMechanism, ServerStep } from './mechanism.ts'
import { EMPTY } from './mechanism.ts'
import {
  authMessage,
  type ClientFinal,
  type ClientFirst,
  formatChannelBinding,
  formatServerFirst,
  parseClientFinal,
  parseClientFirst,
  type ScramCrypto,
  type ScramHash,
  type ScramVerifier,
  sameOctets,
  TLS_EXPORTER,
  xor,
} from './scram.ts'
import { textOf } from './text.ts'

/** Between the two messages of the server. */
interface Challenged {
  readonly first: ClientFirst
  readonly verifier: ScramVerifier
  readonly nonce: string
  readonly serverFirst: string
}

export class ScramServer implements ServerMechanism {
  readonly #hash: ScramHash
  readonly #plus: boolean
  readonly #context: ServerContext
  readonly #crypto: ScramCrypto
  #first: ClientFirst | null = null
  #challenged: Challenged | null = null
  /** `v=`, once the client has proved that it knows the password. */
  #serverFinal: string | null = null

  constructor(hash: ScramHash, variant: 'plain' | 'plus', context: ServerContext) {
    if (context.scram === undefined) throw new Error('SCRAM is offered and nobody brought its hashes')
    this.#hash = hash
    this.#plus = variant === 'plus'
    this.#context = context
    this.#crypto = context.scram
  }

  get #name(): string {
    return `SCRAM-${this.#hash}${this.#plus ? '-PLUS' : ''}`
  }

  start(initialResponse: Uint8Array | null): ServerStep {
    if (initialResponse === null) return { type: 'challenge', challenge: EMPTY }
    return this.respond(initialResponse)
  }

  respond(response: Uint8Array): ServerStep {
    const text = textOf(response)
    if (this.#challenged !== null) return this.#judge(this.#challenged, parseClientFinal(text))
    const first = parseClientFirst(text)
    this.#checkBinding(first)
    this.#first = first
    return { type: 'verifier', username: first.username }
  }

  verifier(verifier: ScramVerifier): Uint8Array {
    const first = this.#first
    if (first === null) throw new Error('SCRAM: a verifier that was not asked for')
    const nonce = first.nonce + this.#crypto.nonce()
    const serverFirst = formatServerFirst({ nonce, salt: verifier.salt, iterations: verifier.iterations })
    this.#challenged = { first, verifier, nonce, serverFirst }
    return Buffer.from(serverFirst)
  }

  // RFC 5802 §5.1: on failure the server-final-message may be left out; SMTP's own reply says enough.
  conclude(verdict: Reply): Uint8Array | null {
    if (verdict.code >= 300) return null
    if (this.#serverFinal === null) throw new Error('SCRAM: accepted without a proof')
    return Buffer.from(this.#serverFinal)
  }

  // RFC 5802 §6
  #checkBinding({ gs2 }: ClientFirst): void {
    const { flag, bindingType } = gs2
    if (this.#plus !== (flag === 'p')) {
      throw new SmtpError(501, '5.5.2', `${this.#name} ${this.#plus ? 'needs' : 'has no'} channel binding`)
    }
    if (flag === 'p' && bindingType !== TLS_EXPORTER) {
      throw new SmtpError(535, '5.7.8', `The channel binding type here is ${TLS_EXPORTER}`)
    }
    if (flag === 'y' && this.#context.offered.includes(`${this.#name}-PLUS`)) {
      throw new SmtpError(535, '5.7.8', 'Channel binding was offered: somebody in between has removed it')
    }
  }

  #judge(challenged: Challenged, final: ClientFinal): ServerStep {
    const { first } = challenged
    const { failure, keys } = this.#compare(challenged, final)
    return {
      type: 'credentials',
      credentials: {
        type: 'scram',
        mechanism: this.#name,
        authorizationIdentity: first.gs2.authorizationIdentity,
        authenticationIdentity: first.username,
        failure,
        ...(keys > 0 ? { keys } : {}),
      },
    }
  }

  #compare(
    { first, verifier, nonce, serverFirst }: Challenged,
    final: ClientFinal,
  ): { failure: string | null; keys: number } {
    const message = authMessage(first.bare, serverFirst, final.withoutProof)
    // Each is computed, whichever it is: time does not tell.
    const candidates = [verifier, ...(verifier.others ?? [])]
    const proved = candidates.map(({ storedKey }) => this.#proves(final.proof, storedKey, message))
    const keys = Math.max(0, proved.indexOf(true))
    if (final.nonce !== nonce) return { failure: 'the nonce is not the one of this exchange', keys }
    if (final.channelBinding !== this.#expectedBinding(first)) {
      const failure = this.#plus
        ? 'the channel bindings do not match: the TLS connection of the client does not end here'
        : 'the GS2 header is not the one it began with'
      return { failure, keys }
    }
    const known = proved[keys] ? candidates[keys] : undefined
    if (known === undefined) return { failure: 'wrong password', keys }
    this.#serverFinal = `v=${encodeBase64(this.#crypto.hmac(this.#hash, known.serverKey, message))}`
    return { failure: null, keys }
  }

  // RFC 5802 §3: H(ClientProof XOR ClientSignature) = StoredKey.
  #proves(proof: Uint8Array, storedKey: Uint8Array, message: string): boolean {
    const signature = this.#crypto.hmac(this.#hash, storedKey, message)
    const same = sameOctets(this.#crypto.hash(this.#hash, xor(proof, signature)), storedKey)
    return same && proof.length === signature.length
  }

  #expectedBinding({ gs2 }: ClientFirst): string {
    if (!this.#plus) return formatChannelBinding(gs2.text, null)
    const { channelBinding } = this.#context
    if (channelBinding === null) throw new Error('-PLUS is offered without a channel to bind to')
    return formatChannelBinding(gs2.text, channelBinding())
  }
}
