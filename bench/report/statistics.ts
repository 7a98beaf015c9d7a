/** What is said of many numbers. */

/** The least value that a share of `sorted` (ascending) is not above: nearest rank. NaN of nothing. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN
  const rank = Math.ceil(share * sorted.length)
  return sorted[Math.min(Math.max(rank, 1), sorted.length) - 1] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/** How far the values are from each other: the largest distance from the median, as a share of it. */
export function spread(values: readonly number[]): number {
  const middle = median(values)
  return Math.max(...values.map(value => Math.abs(value - middle))) / middle
}

export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

/** @param sorted milliseconds, ascending */
export function latencyOf(sorted: ArrayLike<number>): Latency {
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), p999: percentile(sorted, 0.999) }
}
