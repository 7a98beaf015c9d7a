/**
 * Content under way in a server session: DATA up to its CRLF.CRLF, BDAT up to its last octet. It goes on to there whatever
 * was refused meanwhile, so that no octet of content is ever read as a command.
 */

import { ContentDecoder, tooLarge } from './data.ts'
import type { SmtpError } from './error.ts'
import type { Limits } from './limits.ts'

export interface Progress {
  /** Where the content given stops: at the end of the octets, or before the next command. */
  readonly end: number
  /** `null` when there is none to keep. */
  readonly content: Uint8Array | null
  /** Why the message is refused; said to the client when `ended`. */
  readonly fault: SmtpError | null
  /** The DATA or the chunk is over: a reply is due. */
  readonly ended: Ended | null
}

export interface Ended {
  readonly verb: 'DATA' | 'BDAT'
  /** The message is whole: after DATA, or BDAT LAST. */
  readonly last: boolean
  /** Of the chunk; of the message when it is whole. */
  readonly sizeOctets: number
}

interface Chunk {
  readonly sizeOctets: number
  readonly last: boolean
  readonly decoder: ContentDecoder
  remaining: number
}

export class ContentReader {
  readonly #limits: Limits
  #data: ContentDecoder | null = null
  #chunk: Chunk | null = null
  /** The message of the BDAT chunks so far. */
  #chunks: ContentDecoder | null = null

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Octets are content now. */
  get reading(): boolean {
    return this.#data !== null || this.#chunk !== null
  }

  data(): void {
    this.#data = new ContentDecoder(true, this.#limits)
  }

  /** A BDAT command; with a `fault` its octets are dropped (RFC 3030 §2). */
  chunk(sizeOctets: number, last: boolean, fault: SmtpError | null): void {
    const decoder = this.#chunks ?? new ContentDecoder(false, this.#limits)
    if (fault !== null) decoder.refuse(fault)
    // RFC 1870 §6.3: what is declared too large need not be waited for to know.
    if (decoder.sizeOctets + sizeOctets > this.#limits.messageOctets) decoder.refuse(tooLarge(this.#limits))
    this.#chunks = decoder
    this.#chunk = { sizeOctets, last, decoder, remaining: sizeOctets }
  }

  /** The transaction is over: chunks that come after it begin another message, or none. */
  forget(): void {
    this.#chunks = null
  }

  /** `octets` from `start` on: content as far as it goes. */
  read(octets: Buffer, start: number): Progress {
    if (this.#data !== null) return this.#readData(this.#data, octets, start)
    if (this.#chunk !== null) return this.#readChunk(this.#chunk, octets, start)
    return { end: start, content: null, fault: null, ended: null }
  }

  #readData(decoder: ContentDecoder, octets: Buffer, start: number): Progress {
    const { content, end, done } = decoder.decode(octets, start, octets.length)
    if (done) this.#data = null
    const ended = done ? ({ verb: 'DATA', last: true, sizeOctets: decoder.sizeOctets } as const) : null
    return { end, content, fault: decoder.fault, ended }
  }

  #readChunk(chunk: Chunk, octets: Buffer, start: number): Progress {
    const { decoder, last } = chunk
    const end = start + Math.min(chunk.remaining, octets.length - start)
    const { content } = decoder.decode(octets, start, end)
    chunk.remaining -= end - start
    if (chunk.remaining > 0) return { end, content, fault: decoder.fault, ended: null }
    this.#chunk = null
    if (last) decoder.finish()
    const { fault } = decoder
    // RFC 3030 §2: after a failed BDAT the transaction is over, and after the last one.
    if (last || fault !== null) this.forget()
    const sizeOctets = last ? decoder.sizeOctets : chunk.sizeOctets
    return { end, content: fault === null ? content : null, fault, ended: { verb: 'BDAT', last, sizeOctets } }
  }
}
