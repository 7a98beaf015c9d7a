/** Hears every line the processes of a sandbox log, and tells the person at the terminal those that matter. */

import { type Entry, HOPS, hopOf, parseEntry, tell } from './story.ts'

export class Journal {
  readonly #print: (line: string) => void
  /** What is kept back while the first message is on its way: it is told in the order of its hops. */
  #held: Entry[] | null = []
  #heard = new EventTarget()

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  hear(line: string): void {
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
    this.release()
  }

  /** Tells what is held, and from here on everything at once. */
  release(): void {
    for (const entry of this.#held ?? []) this.#tell(entry)
    this.#held = null
  }

  #tell(entry: Entry): void {
    const text = tell(entry)
    if (text !== null) this.#print(text)
  }
}
