/** What ptt is to reach on a machine of two cores that generator and sink share with it, beside what it did. */

import type { Figure } from '../smtp/report.ts'
import { fastestOf } from './markdown.ts'
import type { Figures, Results } from './results.ts'

/** Rows of 4 KiB, and how many sessions each has: how many are meant is nowhere said. */
const SESSIONS = [
  ['4k', 20],
  ['100-sessions', 100],
] as const

/** Those of which something was measured. */
export function aimsOf({ rows, idle, handshakes }: Pick<Results, 'rows' | 'idle' | 'handshakes'>): Figure[] {
  const rowOf = (name: string) => rows.find(({ row }) => row === name)
  const ours = (name: string) => rowOf(name)?.figures.find(({ contender }) => contender.startsWith('ptt'))
  const fastest = (name: string) => {
    const row = rowOf(name)
    return row && fastestOf(row)
  }
  const aims: Figure[] = []
  for (const [name, sessions] of SESSIONS) {
    const own = ours(name)
    if (own === undefined) continue
    const value = own.deliveredPerSecond
    aims.push({ name: `delivered, 4 KiB, ${sessions} sessions`, value, unit: '/s', aim: { least: 1900 } })
    addRatio(aims, `times the fastest peer, ${sessions} sessions`, own, fastest(name), 4)
  }
  const alone = ours('unsigned')
  if (alone !== undefined)
    addRatio(aims, 'times the fastest peer, the relay alone', alone, fastest('unsigned'), 3)
  const calm = ours('half-load')
  if (calm !== undefined) {
    const { p50, p99 } = calm.latencyMs
    aims.push({ name: 'p50 at half load', value: p50, unit: 'ms', aim: { most: 8 } })
    aims.push({ name: 'p99 at half load', value: p99, unit: 'ms', aim: { most: 30 } })
  }
  const large = ours('25m')
  if (large !== undefined) {
    const value = (large.deliveredPerSecond * (rowOf('25m')?.sizeOctets ?? 0)) / 1e6
    aims.push({ name: '25 MiB messages, end to end', value, unit: 'MB/s', aim: { least: 150 } })
  }
  if (idle.ptt !== undefined) {
    const value = idle.ptt.residentBytes / 1e6
    const note = `${Math.round(idle.ptt.sharedBytes / 1e6)} MB where what they share counts once`
    aims.push({
      name: 'idle, resident sets of the three services',
      value,
      unit: 'MB',
      aim: { most: 250 },
      note,
    })
  }
  if (handshakes !== null) {
    const value = (handshakes.submission.perSecond / handshakes.bare.perSecond) * 100
    aims.push({ name: 'new TLS sessions, of the tls module alone', value, unit: '%', aim: { least: 80 } })
  }
  return aims
}

function addRatio(
  aims: Figure[],
  name: string,
  ours: Figures,
  theirs: Figures | undefined,
  least: number,
): void {
  if (theirs === undefined || theirs.deliveredPerSecond === 0) return
  const value = ours.deliveredPerSecond / theirs.deliveredPerSecond
  aims.push({ name, value, unit: '×', aim: { least }, note: theirs.contender })
}
