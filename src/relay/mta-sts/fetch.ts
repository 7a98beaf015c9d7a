/** The policy of a domain from its policy host: RFC 8461 §3.3. What goes wrong is named as RFC 8460 §4.3.2.2 has it. */

import { type HttpsFailure, type HttpsOptions, httpsGet } from '../../net/https.ts'
import { parseStsPolicy, type StsPolicy } from './policy.ts'

export interface StsFailure {
  /** For reports: the policy could not be had, or says nothing that can be followed, or its host is not who it says it is. */
  readonly resultType: 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid'
  readonly reason: string
}

export type Fetched =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | ({ readonly kind: 'failure' } & StsFailure)

/** Never rejects. */
export type FetchPolicy = (domain: string, signal: AbortSignal) => Promise<Fetched>

/** §3.3: "A suggested timeout is one minute, and a suggested maximum policy size is 64 kilobytes". */
const TIMEOUT_MS = 60_000
const MAX_OCTETS = 64 * 1024

export type FetchOptions = Omit<HttpsOptions, 'timeoutMs' | 'maxOctets' | 'signal'> & {
  readonly timeoutMs?: number
}

export function policyFetcher(options: FetchOptions): FetchPolicy {
  return async (domain, signal) => {
    const limits = { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, maxOctets: MAX_OCTETS }
    const host = policyHost(domain)
    const answer = await httpsGet(host, PATH, { ...options, ...limits, signal })
    if (answer.kind === 'failure') return failure(resultTypeOf(answer), answer.reason)
    const { status, headers, body } = answer
    // "HTTP 3xx redirects MUST NOT be followed": whoever can have one answered does not own the host.
    if (status !== 200) {
      const redirect = status >= 300 && status < 400 ? ', and redirects are not followed' : ''
      return failure('sts-policy-fetch-error', `${host} answers HTTP ${status}${redirect}`)
    }
    // §3.2: on some servers anybody can put images and pages where he likes.
    const mediaType = String(headers['content-type'] ?? '')
    if (!/^text\/plain[ \t]*(?:;|$)/i.test(mediaType)) {
      const shown = JSON.stringify(mediaType.slice(0, 80))
      return failure('sts-policy-fetch-error', `${host}: the media type is ${shown} and not text/plain`)
    }
    const parsed = parseStsPolicy(body.toString())
    return parsed.kind === 'policy' ? parsed : failure('sts-policy-invalid', `${host}: ${parsed.reason}`)
  }
}

const PATH = '/.well-known/mta-sts.txt'

/** §3.2. Of the domain itself: "senders MUST NOT attempt to fetch a policy from the parent zone" (§3.4). */
export const policyHost = (domain: string): string => `mta-sts.${domain}`

function resultTypeOf({ code }: HttpsFailure): StsFailure['resultType'] {
  return code === 'certificate' ? 'sts-webpki-invalid' : 'sts-policy-fetch-error'
}

function failure(resultType: StsFailure['resultType'], reason: string): Fetched {
  return { kind: 'failure', resultType, reason }
}
