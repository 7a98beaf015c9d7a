/** Hears every line the processes of a sandbox log, and tells the person at the terminal those that matter. */

import { type Entry, HOPS, hopOf, parseEntry, tell } from './story.ts'

export interface JournalOptions {
  readonly print: (line: string) => void
  /**
   * False: nothing is told after the first message. Whoever reads by a pipe may stop reading, and a full pipe would halt
   * this process and with it the Internet.
   */
  readonly live: boolean
  readonly now: () => number
}

/** More lines than this in a second nobody reads: they are counted. */
const LINES_PER_SECOND = 50

export class Journal {
  readonly #options: JournalOptions
  /** What is kept back while the first message is on its way: it is told in the order of its hops. */
  #held: Entry[] | null = []
  readonly #heard = new EventTarget()
  #second = 0
  #told = 0
  #untold = 0

  constructor(options: JournalOptions) {
    this.#options = options
  }

  hear(line: string): void {
    if (this.#held === null && !this.#options.live) return
    const entry = parseEntry(line)
    if (entry === null) return
    if (this.#held !== null && entry.id !== '') this.#held.push(entry)
    else this.#tell(entry)
    this.#heard.dispatchEvent(new Event('heard'))
  }

  /** Tells the way of `id`, hop by hop, once it is known whole or `signal` is up; then all else as it comes. */
  async tellHops(id: string, signal: AbortSignal): Promise<void> {
    const hops = () => (this.#held ?? []).filter(entry => entry.id === id && hopOf(entry) >= 0)
    while (new Set(hops().map(hopOf)).size < HOPS.length && !signal.aborted) {
      await new Promise<void>(resolve => {
        this.#heard.addEventListener('heard', () => resolve(), { once: true })
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    const way = hops().toSorted((one, other) => hopOf(one) - hopOf(other))
    for (const entry of way) this.#tell(entry)
    this.#held = (this.#held ?? []).filter(entry => !way.includes(entry))
  }

  /** Tells what is held, and from here on everything at once. */
  release(): void {
    for (const entry of this.#held ?? []) this.#tell(entry)
    this.#held = null
  }

  #tell(entry: Entry): void {
    const text = tell(entry)
    if (text === null) return
    const second = Math.floor(this.#options.now() / 1000)
    if (second !== this.#second) {
      if (this.#untold > 0) this.#options.print(`… and ${this.#untold} lines more, which are in the log`)
      this.#second = second
      this.#told = 0
      this.#untold = 0
    }
    if (this.#told < LINES_PER_SECOND) this.#options.print(text)
    else this.#untold++
    this.#told++
  }
}
