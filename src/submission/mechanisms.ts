/** Which SASL mechanisms a client is offered: of those configured, those with which somebody can sign in here and now. */

import type { Client } from '../net/listener.ts'

export interface Means {
  /** Tokens of an issuer can be checked. */
  readonly tokens: boolean
  /** Every user has a verifier that SCRAM can use: who tries the best mechanism offered is not refused for it. */
  readonly scram: boolean
}

export function usableMechanisms(
  configured: readonly string[],
  { tls, bindable }: Pick<Client, 'tls' | 'bindable'>,
  { tokens, scram }: Means,
): string[] {
  return configured.filter(mechanism => {
    // RFC 5802 §6: without channel binding only the variant without it is advertised.
    if (mechanism.endsWith('-PLUS') && !bindable) return false
    if (mechanism.startsWith('SCRAM-SHA-256')) return scram
    if (mechanism === 'OAUTHBEARER' || mechanism === 'XOAUTH2') return tokens
    if (mechanism === 'EXTERNAL') return tls?.authorized === true && tls.peerMailboxes.length > 0
    return true
  })
}
