/** The table for the terminal, one row's contenders below each other. */

import type { HandshakeResults } from '../handshakes.ts'
import type { Figures, Results, RowResults } from './results.ts'

const MEBI = 2 ** 20
const HEAD = ['', 'delivered/s', '±', 'MB/s', 'CPU ms', 'memory MiB', 'p50 ms', 'p99 ms', 'p99.9 ms']
const WIDTHS = [24, 12, 7, 7, 9, 12, 9, 9, 10]

export function formatRow({ title, sizeOctets, figures }: RowResults): string {
  const lines = [title, line(HEAD), ...figures.map(each => line(cells(each, sizeOctets)))]
  const flaws = figures.flatMap(({ contender, flaws }) => flaws.map(flaw => `  ! ${contender}: ${flaw}`))
  return `${[...lines, ...flaws].join('\n')}\n`
}

export function cells(figures: Figures, sizeOctets: number): string[] {
  const { contender, deliveredPerSecond, cpuMsPerMessage, peakRssBytes, latencyMs, runs } = figures
  return [
    contender,
    number(deliveredPerSecond),
    runs > 1 && Number.isFinite(figures.spread) ? `${Math.round(figures.spread * 100)} %` : '',
    number((deliveredPerSecond * sizeOctets) / 1e6),
    number(cpuMsPerMessage),
    number(peakRssBytes / MEBI, 0),
    number(latencyMs.p50),
    number(latencyMs.p99),
    number(latencyMs.p999),
  ]
}

export function formatIdle(idle: Results['idle']): string {
  const each = Object.entries(idle).map(
    ([name, { residentBytes, sharedBytes }]) =>
      `  ${name.padEnd(24)}${number(residentBytes / MEBI, 0).padStart(12)}${number(sharedBytes / MEBI, 0).padStart(16)}`,
  )
  return `Memory before the first message, MiB\n${' '.repeat(30)}resident     shared once\n${each.join('\n')}\n`
}

export function formatHandshakes({ submission, bare }: HandshakeResults): string {
  const lineOf = (name: string, { perSecond, cpuMs }: HandshakeResults['bare']) =>
    `  ${name.padEnd(24)}${number(perSecond).padStart(12)}/s ${number(cpuMs).padStart(8)} CPU ms of the server`
  const share = Math.round((submission.perSecond / bare.perSecond) * 100)
  return `New TLS sessions\n${lineOf('submission', submission)}\n${lineOf('the tls module alone', bare)}\n  ${share} % of it\n`
}

/** Three digits that mean something. */
export function number(value: number, digits = value < 10 ? 2 : value < 100 ? 1 : 0): string {
  return Number.isFinite(value) ? value.toLocaleString('en', { maximumFractionDigits: digits }) : '–'
}

function line(words: readonly string[]): string {
  const [name = '', ...rest] = words
  const padded = rest.map((word, at) => word.padStart(WIDTHS[at + 1] ?? 0))
  return `  ${name.padEnd(WIDTHS[0] ?? 0)}${padded.join('')}`
}
