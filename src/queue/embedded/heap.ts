/** A binary heap: `top` is before all others. */
export class Heap<T> {
  readonly #isBefore: (one: T, other: T) => boolean
  readonly #items: T[] = []

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore
  }

  get top(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let at = items.length
    for (;;) {
      const above = (at - 1) >> 1
      const parent = items[above]
      if (at === 0 || parent === undefined || !this.#isBefore(item, parent)) break
      items[at] = parent
      at = above
    }
    items[at] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return top
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      const left = items[below]
      const right = items[below + 1]
      if (left === undefined) break
      if (right !== undefined && this.#isBefore(right, left)) below++
      const child = items[below]
      if (child === undefined || !this.#isBefore(child, last)) break
      items[at] = child
      at = below
    }
    items[at] = last
    return top
  }
}
