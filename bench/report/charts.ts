/** The charts of some results: throughput of the rows, latency at half load. */

import { type Chart, drawChart, type Group } from './chart.ts'
import type { Figures, Results, RowResults } from './results.ts'
import { number } from './table.ts'

/** Beside the results: `2026-11-22.json` has `2026-11-22-delivered.svg`. */
export function chartFile(results: string, name: string): string {
  return results.replace(/(\.json)?$/, `-${name}.svg`)
}

/** Name → SVG. A chart of which nothing was measured is not there. */
export function chartsOf({
  date,
  machine,
  rows,
}: Pick<Results, 'date' | 'machine' | 'rows'>): [string, string][] {
  const where = `${machine}, ${date}`
  const half = rows.filter(({ row }) => row === 'half-load')
  const charts: [string, Chart][] = [
    [
      'delivered',
      {
        title: `Messages delivered per second (${where})`,
        groups: rows
          .filter(({ row }) => row !== 'half-load')
          .map(row => group(row, row.title, each => each.deliveredPerSecond)),
      },
    ],
    [
      'latency',
      {
        title: `Final dot in to final dot out at half load, ms, logarithmic (${where})`,
        logarithmic: true,
        groups: half.flatMap(row => [
          group(row, 'p50', ({ latencyMs }) => latencyMs.p50),
          group(row, 'p99', ({ latencyMs }) => latencyMs.p99),
        ]),
      },
    ],
  ]
  return charts.filter(([, { groups }]) => groups.length > 0).map(([name, chart]) => [name, drawChart(chart)])
}

function group({ figures }: RowResults, title: string, figure: (figures: Figures) => number): Group {
  return {
    title,
    bars: figures.map(each => ({
      name: each.contender,
      value: figure(each),
      text: number(figure(each)),
      isOurs: each.contender.startsWith('ptt'),
    })),
  }
}
