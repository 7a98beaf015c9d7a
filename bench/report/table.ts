/** The table for the terminal, one row's contenders below each other. */

import type { Figures, RowResults } from './results.ts'

const HEAD = ['', 'delivered/s', '±', 'CPU ms', 'memory MiB', 'p50 ms', 'p99 ms', 'p99.9 ms']
const WIDTHS = [28, 12, 6, 9, 11, 10, 10, 10]

export function formatRow({ title, figures }: RowResults): string {
  const lines = [title, line(HEAD), ...figures.map(each => line(cells(each)))]
  const flaws = figures.flatMap(({ contender, flaws }) => flaws.map(flaw => `  ! ${contender}: ${flaw}`))
  return `${[...lines, ...flaws].join('\n')}\n`
}

export function cells(figures: Figures): string[] {
  const { contender, deliveredPerSecond, cpuMsPerMessage, peakRssBytes, latencyMs, runs } = figures
  return [
    `${contender}${figures.signed ? '' : ', unsigned'}`,
    number(deliveredPerSecond),
    runs > 1 ? `${Math.round(figures.spread * 100)} %` : '',
    number(cpuMsPerMessage),
    number(peakRssBytes / 2 ** 20, 0),
    number(latencyMs.p50),
    number(latencyMs.p99),
    number(latencyMs.p999),
  ]
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
