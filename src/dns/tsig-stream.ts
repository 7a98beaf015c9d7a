/**
 * TSIG over an answer of several messages, as a zone transfer is (RFC 8945 §5.3.1): the first and the last are
 * signed, and at least every hundredth; each MAC is over the one before it, what came since, and its own time.
 */

import { macOf, splitTsig, type TsigKey, type TsigVerdict, timers, verifyMac, withLength } from './tsig.ts'
import { FormatError } from './wire.ts'

/** RFC 8945 §5.3.1: up to 99 messages may go between two that are signed. */
const MAX_UNSIGNED = 99

export interface StreamedMessage {
  /** Without its TSIG. Not to be believed before a later message was `ok`, where it is `unsigned`. */
  readonly message: Buffer
  readonly verdict: TsigVerdict | 'unsigned'
}

export class TsigStream {
  readonly #key: TsigKey
  #priorMac: Uint8Array
  #first = true
  /** Since the last signed one; the MAC of the next one is over them too. */
  #unsigned: Buffer[] = []

  /** @param requestMac of the request that all of this answers */
  constructor(key: TsigKey, requestMac: Uint8Array) {
    this.#key = key
    this.#priorMac = requestMac
  }

  /** True where nothing is left that no MAC covers: the answer may end here. */
  get covered(): boolean {
    return !this.#first && this.#unsigned.length === 0
  }

  /** @throws FormatError the first message or the hundredth in a row is not signed, or one is malformed */
  push(octets: Buffer, timeSeconds: number): StreamedMessage {
    const split = splitTsig(octets)
    if (split === null) {
      if (this.#first) throw new FormatError('the first message is not signed with TSIG')
      if (this.#unsigned.length === MAX_UNSIGNED)
        throw new FormatError(`more than ${MAX_UNSIGNED} messages in a row are not signed with TSIG`)
      this.#unsigned.push(octets)
      return { message: octets, verdict: 'unsigned' }
    }
    const { message, tsig } = split
    // The first is signed as any answer is; from the second on the names and the error are left out.
    const expected = this.#first
      ? macOf(message, this.#key, tsig, this.#priorMac)
      : macOf(
          Buffer.concat([withLength(this.#priorMac), ...this.#unsigned, message, timers(tsig)]),
          this.#key,
        )
    const verdict = verifyMac(tsig, this.#key, expected, timeSeconds)
    this.#first = false
    this.#unsigned = []
    this.#priorMac = tsig.mac
    return { message, verdict }
  }
}
