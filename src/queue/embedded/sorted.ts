/** A list that is always in order. What comes belongs at its end mostly, and what goes stands at its front. */
export class Sorted<T> {
  readonly #isBefore: (one: T, other: T) => boolean
  readonly #items: T[] = []

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  add(item: T): void {
    const last = this.#items.at(-1)
    if (last === undefined || this.#isBefore(last, item)) this.#items.push(item)
    else this.#items.splice(this.#place(item), 0, item)
  }

  /** The one that is neither before `item` nor after it. */
  remove(item: T): void {
    const at = this.#place(item)
    const found = this.#items[at]
    if (found !== undefined && !this.#isBefore(item, found)) this.#items.splice(at, 1)
  }

  /** From `item` on, or what would be there. Nothing is added or removed meanwhile. */
  *from(item: T): Generator<T, void> {
    for (let at = this.#place(item); at < this.#items.length; at++) yield this.#items[at] as T
  }

  /** How many are before `item`. */
  #place(item: T): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#isBefore(this.#items[middle] as T, item)) low = middle + 1
      else high = middle
    }
    return low
  }
}
