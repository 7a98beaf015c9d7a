/**
 * What ptt is beside a peer, in two results. Machines differ, and the same machine from hour to hour: how many times as much ptt
 * delivers as a peer that was measured in turn with it differs less.
 */

import type { Figures, Results } from './results.ts'

export interface Change {
  readonly row: string
  readonly peer: string
  readonly what: 'delivered/s' | 'CPU' | 'p50' | 'p99'
  /** How many times better ptt is than the peer: above 1 it is better. */
  readonly before: number
  readonly now: number
}

const FIGURES: readonly [Change['what'], (ours: Figures, theirs: Figures) => number][] = [
  ['delivered/s', (ours, theirs) => ours.deliveredPerSecond / theirs.deliveredPerSecond],
  ['CPU', (ours, theirs) => theirs.cpuMsPerMessage / ours.cpuMsPerMessage],
]
/** Where messages come as they like, a latency is how long the queue is. */
const CALM_FIGURES: typeof FIGURES = [
  ['p50', (ours, theirs) => theirs.latencyMs.p50 / ours.latencyMs.p50],
  ['p99', (ours, theirs) => theirs.latencyMs.p99 / ours.latencyMs.p99],
]
const CALM = 'half-load'

/** Of the rows and peers that both have; ptt is whichever of it is in the row. */
export function changesOf(before: Pick<Results, 'rows'>, now: Pick<Results, 'rows'>): Change[] {
  return now.rows.flatMap(({ row, figures }) => {
    const earlier = before.rows.find(other => other.row === row)
    const ours = figures.find(isOurs)
    const oursBefore = earlier?.figures.find(isOurs)
    if (ours === undefined || oursBefore === undefined) return []
    return figures
      .filter(theirs => !isOurs(theirs))
      .flatMap(theirs => {
        const theirsBefore = earlier?.figures.find(({ contender }) => contender === theirs.contender)
        if (theirsBefore === undefined) return []
        return (row === CALM ? CALM_FIGURES : FIGURES).map(([what, ratio]) => ({
          row,
          peer: theirs.contender,
          what,
          before: ratio(oursBefore, theirsBefore),
          now: ratio(ours, theirs),
        }))
      })
  })
}

/** Worse by more than `share`. What could not be measured is no change. */
export function isRegression({ before, now }: Change, share: number): boolean {
  return now < before * (1 - share)
}

function isOurs({ contender }: Figures): boolean {
  return contender.startsWith('ptt')
}
