/** A profile in some lines of text: by whose code it is, and the functions that take most by themselves. */

import type { Call, Samples } from './samples.ts'

const FUNCTIONS = 25

export function formatSummary({ root, count, seconds }: Samples): string {
  const rooms = new Map<string, number>()
  const functions = new Map<string, number>()
  const visit = ({ name, place, room, self, children }: Call): void => {
    if (self > 0) {
      add(rooms, room, self)
      add(functions, `${name}${place === '' ? '' : `  ${place}`}`, self)
    }
    for (const child of children) visit(child)
  }
  visit(root)
  const idle = rooms.get('idle') ?? 0
  const busy = Math.max(1, count - idle)
  functions.delete('(idle)')
  rooms.delete('idle')
  const row = ([name, samples]: readonly [string, number]) =>
    `${((100 * samples) / busy).toFixed(1).padStart(7)} %  ${name}`
  return [
    `${count} samples in ${seconds.toFixed(1)} s, of them idle ${((100 * idle) / count).toFixed(0)} %; of the rest:`,
    '',
    'by room',
    ...ranked(rooms).map(row),
    '',
    'functions by themselves',
    ...ranked(functions).slice(0, FUNCTIONS).map(row),
  ].join('\n')
}

function add(sums: Map<string, number>, key: string, samples: number): void {
  sums.set(key, (sums.get(key) ?? 0) + samples)
}

function ranked(sums: ReadonlyMap<string, number>): [string, number][] {
  return [...sums].toSorted(([, one], [, other]) => other - one)
}
