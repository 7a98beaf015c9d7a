/**
 * What the pretend Internet thinks of a message: DKIM (RFC 6376) verified by a library that is not ours, with the keys
 * our DNS answers, and told in an Authentication-Results field (RFC 8601 §2.2).
 */

import type { Resolver } from '../net/resolver.ts'
import { verifySignatures } from '../relay/signature-check.ts'

/** The results of RFC 8601 §2.7.1. */
const DKIM_RESULTS = ['pass', 'fail', 'none', 'neutral', 'policy', 'temperror', 'permerror'] as const
export type DkimResult = (typeof DKIM_RESULTS)[number]

export interface Verdict {
  /** `pass` when any signature passes; else what the first one came to; `none` when there is none. */
  readonly dkim: DkimResult
  /** d= of the signature that decided; empty when there is none. */
  readonly signingDomain: string
  /** Why it is not a pass, in the verifier's words; empty when it is. */
  readonly comment: string
  /** The whole field with its CRLF. */
  readonly field: string
}

export async function verify(content: Uint8Array, resolver: Resolver, authservId: string): Promise<Verdict> {
  const results = await verifySignatures(content, resolver)
  const decisive = results.find(({ result }) => result === 'pass') ?? results[0]
  // One line a signature, folded.
  const lines = results.map(({ info }) => `;\r\n\t${info}`)
  return {
    dkim: DKIM_RESULTS.find(result => result === decisive?.result) ?? 'permerror',
    signingDomain: decisive?.domain ?? '',
    comment: decisive?.comment ?? '',
    field: `Authentication-Results: ${authservId}${lines.join('')}\r\n`,
  }
}
