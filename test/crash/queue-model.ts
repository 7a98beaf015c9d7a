/** What the killed process and the one that looks afterwards both know. */

export const NOW_MS = 1000
export const DEFERRED_MS = 5000

/** Different for each id, the same in both processes. */
export function contentSeed(id: string): number {
  let seed = 7
  for (const character of id) seed = (Math.imul(seed, 31) + character.charCodeAt(0)) >>> 0
  return seed
}

/** Mostly small ones; some are files. */
export function sizeOf(id: string): number {
  const seed = contentSeed(id)
  return seed % 6 === 0 ? 65_537 + (seed % 50_000) : seed % 5000
}

/** Small and seeded: the same moments are chosen each time. */
export function* randoms(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
