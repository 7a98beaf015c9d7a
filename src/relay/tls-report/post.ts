/** A report to a web server, RFC 8460 §5.4. */

import { type HttpsOptions, httpsPost } from '../../net/https.ts'
import type { Post } from './give.ts'

const TIMEOUT_MS = 60_000

/** Rejects when there was no answer: it is tried again. */
export function reportPoster(options: Pick<HttpsOptions, 'resolver' | 'privateNetworks' | 'ca'>): Post {
  return async (url, contentType, octets, signal) => {
    const content = { type: contentType, octets }
    const answer = await httpsPost(new URL(url), content, { ...options, signal, timeoutMs: TIMEOUT_MS })
    if (answer.kind === 'failure') throw new Error(answer.reason)
    return { status: answer.status }
  }
}
