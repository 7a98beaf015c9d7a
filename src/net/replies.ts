/**
 * The replies of one session on their way to the client, in the order of what they answer. Over a hop that to a message may come
 * late: the next transaction goes on meanwhile (RFC 2920 §3.2: replies may be sent together, never out of order), and what is
 * answered behind it waits for it.
 */

import { WireError } from './wire-error.ts'

export interface LateReply {
  readonly octets: Uint8Array
  /** The connection goes with it (RFC 5321 §3.8): nothing is said behind it. */
  readonly isLast: boolean
}

/** More than this behind a late one, and no more is read: 16 messages of a hop have a hundred, and no peer may fill our memory. */
const MOST_WAITING = 4096

export class Replies {
  readonly #write: (replies: readonly Uint8Array[]) => boolean
  readonly #wroteLate: () => void
  /** Late ones, those to come among them, and whatever is behind. */
  #waiting: { reply: LateReply | null }[] = []
  #ready: Uint8Array[] = []
  /** Late ones that have not come. */
  #open = 0
  #ended = false
  #flushing = false
  #wakers: (() => void)[] = []

  /** `write`: whether the client takes more. `wroteLate`: some that were late went out. */
  constructor(write: (replies: readonly Uint8Array[]) => boolean, wroteLate: () => void) {
    this.#write = write
    this.#wroteLate = wroteLate
  }

  /** Late ones that have not come yet. */
  get open(): number {
    return this.#open
  }

  /** The last was said. */
  get ended(): boolean {
    return this.#ended
  }

  push(octets: Uint8Array): void {
    if (this.#ended) return
    if (this.#waiting.length === 0) this.#ready.push(octets)
    else this.#waiting.push({ reply: { octets, isLast: false } })
  }

  /** One that comes later, and is written then. It must not fail. */
  pushLate(reply: Promise<LateReply>): void {
    const place: { reply: LateReply | null } = { reply: null }
    if (!this.#ended) this.#waiting.push(place)
    this.#open++
    void reply.then(come => {
      place.reply = come
      this.#open--
      this.#advance()
    })
  }

  /**
   * Writes what there is for the client; false when it is slow to take it. Not while a late reply is open: what is before it
   * would be a write of its own, and the client waits for the late one.
   */
  flush(): boolean {
    return this.#open > 0 || this.#put()
  }

  /** Resolves when more may be answered: not while a late one keeps back as many as there may be. */
  async room(): Promise<void> {
    while (this.#open > 0 && this.#ready.length + this.#waiting.length > MOST_WAITING)
      await new Promise<void>(resolve => this.#wakers.push(resolve))
  }

  /** Resolves when at most `most` late ones are open. */
  async settled(most: number): Promise<void> {
    while (this.#open > most) await new Promise<void>(resolve => this.#wakers.push(resolve))
  }

  /** What no longer waits for a late one goes out: all that comes in one turn of the event loop in one write. */
  #advance(): void {
    for (let [first] = this.#waiting; first?.reply; [first] = this.#waiting) {
      this.#ready.push(first.reply.octets)
      this.#ended = first.reply.isLast
      if (this.#ended) this.#waiting = []
      else this.#waiting.shift()
    }
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      try {
        this.#put()
      } catch (error) {
        // The connection broke: who reads from it hears of that.
        if (!(error instanceof WireError)) throw error
      }
      this.#wroteLate()
      for (const wake of this.#wakers.splice(0)) wake()
    })
  }

  #put(): boolean {
    const replies = this.#ready
    if (replies.length === 0) return true
    this.#ready = []
    return this.#write(replies)
  }
}
