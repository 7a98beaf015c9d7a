/** The results of a bench as they are kept: what the table, the charts and README are made of. */

import type { HandshakeResults } from '../handshakes.ts'
import type { Measurement } from '../run.ts'
import { type Latency, median, spread } from './statistics.ts'

/** What a contender did in a row: medians of its runs. */
export interface Figures {
  readonly contender: string
  readonly signed: boolean
  readonly deliveredPerSecond: number
  /** Of deliveredPerSecond: the largest distance of a run from the median, as a share of it. */
  readonly spread: number
  readonly cpuMsPerMessage: number
  readonly peakRssBytes: number
  readonly latencyMs: Latency
  /** How many runs it is the median of. */
  readonly runs: number
  readonly flaws: readonly string[]
}

export interface RowResults {
  readonly row: string
  readonly title: string
  readonly sizeOctets: number
  readonly figures: readonly Figures[]
}

export interface Results {
  readonly date: string
  readonly machine: string
  readonly node: string
  /** Of the systems. */
  readonly versions: Readonly<Record<string, string>>
  /** It was made in a hurry. */
  readonly quick: boolean
  readonly rows: readonly RowResults[]
  /** Octets before the first message: resident, and with what processes share counted once. */
  readonly idle: Readonly<Record<string, { readonly residentBytes: number; readonly sharedBytes: number }>>
  readonly handshakes: HandshakeResults | null
  /** Messages a second from generator to sink with nothing between: what the tools can. */
  readonly ceilingPerSecond: number
  /** Why a peer was not measured. */
  readonly missing: Readonly<Record<string, string>>
}

export function figuresOf(contender: string, signed: boolean, measurements: readonly Measurement[]): Figures {
  const of = (value: (measurement: Measurement) => number) => median(measurements.map(value))
  return {
    contender,
    signed,
    deliveredPerSecond: of(({ deliveredPerSecond }) => deliveredPerSecond),
    spread: spread(measurements.map(({ deliveredPerSecond }) => deliveredPerSecond)),
    cpuMsPerMessage: of(({ cpuMsPerMessage }) => cpuMsPerMessage),
    peakRssBytes: Math.max(...measurements.map(({ peakRssBytes }) => peakRssBytes)),
    latencyMs: {
      p50: of(({ latencyMs }) => latencyMs.p50),
      p99: of(({ latencyMs }) => latencyMs.p99),
      p999: of(({ latencyMs }) => latencyMs.p999),
    },
    runs: measurements.length,
    flaws: [...new Set(measurements.flatMap(({ flaws }) => flaws))],
  }
}

export interface Summary {
  readonly systems: readonly {
    readonly name: string
    readonly signed: boolean
    readonly deliveredPerSecond: number
    readonly cpuMsPerMessage: number
    readonly peakRssBytes: number
    readonly latencyMs: Latency
  }[]
}

/** What `--json` prints: the first row, with the latencies at half load where they were measured. */
export function summaryOf({ rows }: Pick<Results, 'rows'>): Summary {
  const [first] = rows
  const half = rows.find(({ row }) => row === 'half-load')
  return {
    systems: (first?.figures ?? []).map(figures => {
      const { contender, signed, deliveredPerSecond, cpuMsPerMessage, peakRssBytes, latencyMs } = figures
      const calm = half?.figures.find(other => other.contender === contender)
      return {
        name: contender,
        signed,
        deliveredPerSecond: round(deliveredPerSecond, 1),
        cpuMsPerMessage: round(cpuMsPerMessage, 3),
        peakRssBytes: Math.round(peakRssBytes),
        latencyMs: roundAll(calm?.latencyMs ?? latencyMs),
      }
    }),
  }
}

function roundAll({ p50, p99, p999 }: Latency): Latency {
  return { p50: round(p50, 2), p99: round(p99, 2), p999: round(p999, 2) }
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}
