/** The body hash, bh= of RFC 6376 §3.7. */

import { createHash } from 'node:crypto'
import { BodyCanonicalizer, type Canonicalization } from './canonicalization.ts'

export class BodyHash {
  readonly #hash = createHash('sha256')
  readonly #body: BodyCanonicalizer

  constructor(canonicalization: Canonicalization) {
    this.#body = new BodyCanonicalizer(canonicalization, octets => this.#hash.update(octets))
  }

  update(chunk: Uint8Array): void {
    this.#body.update(chunk)
  }

  /** Base64. */
  finish(): string {
    this.#body.finish()
    return this.#hash.digest('base64')
  }
}
