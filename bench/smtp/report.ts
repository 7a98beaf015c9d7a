/** Figures as people and programs read them. */

export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What it should be: at least, or at most. */
  readonly aim?: { readonly least: number } | { readonly most: number }
  /** How it was measured, and what else is worth knowing. */
  readonly note?: string
}

export function isReached({ value, aim }: Figure): boolean {
  if (aim === undefined) return true
  return 'least' in aim ? value >= aim.least : value <= aim.most
}

export function formatFigure(figure: Figure): string {
  const { name, value, unit, aim, note } = figure
  const wanted =
    aim === undefined
      ? ''
      : `  ${isReached(figure) ? 'reached' : 'MISSED'}: ${'least' in aim ? `≥ ${number(aim.least)}` : `≤ ${number(aim.most)}`}`
  return `${name.padEnd(58)}${number(value).padStart(10)} ${unit.padEnd(8)}${wanted}${note === undefined ? '' : `  (${note})`}`
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0 })
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/** CPU time of all threads of this process, and what a clock shows. */
export interface Spent {
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

export function spent(work: () => void): Spent {
  const cpu = process.cpuUsage()
  const begin = performance.now()
  work()
  const wallSeconds = (performance.now() - begin) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { cpuSeconds: (user + system) / 1e6, wallSeconds }
}
