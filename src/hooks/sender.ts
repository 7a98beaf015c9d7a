/**
 * Who sends a webhook: the three ways in which Git hosts show that they know the secret. Replayed, a hook makes a service
 * look at the repository once more, and nothing else.
 */

import { createHmac, type Hmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export type Sender = 'github' | 'gitea' | 'gitlab'

/** Fed with the body; says whose it is once it is whole. */
export class SenderCheck {
  readonly #headers: IncomingHttpHeaders
  readonly #secret: string
  readonly #hmac: Hmac

  constructor(headers: IncomingHttpHeaders, secret: string) {
    this.#headers = headers
    this.#secret = secret
    this.#hmac = createHmac('sha256', secret)
  }

  update(octets: Uint8Array): void {
    this.#hmac.update(octets)
  }

  /** `null`: it is of nobody who knows the secret. */
  finish(): Sender | null {
    const digest = this.#hmac.digest('hex')
    // GitHub; Forgejo, Gitea and Bitbucket send it as well.
    if (this.#has('x-hub-signature-256', `sha256=${digest}`)) return 'github'
    if (this.#has('x-gitea-signature', digest)) return 'gitea'
    // GitLab sends the secret itself.
    return this.#has('x-gitlab-token', this.#secret) ? 'gitlab' : null
  }

  #has(name: string, expected: string): boolean {
    const value = this.#headers[name]
    return typeof value === 'string' && timingSafeEqual(this.#blur(value), this.#blur(expected))
  }

  /** Of one length, so that time does not tell how much of it is right. */
  #blur(text: string): Buffer {
    return createHmac('sha256', this.#secret).update(text).digest()
  }
}
