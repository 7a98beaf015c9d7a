/** Bars as SVG (version 1.1), by nobody's library: readable on a light page and on a dark one, and in a text editor. */

export interface Bar {
  readonly name: string
  readonly value: number
  /** What stands at its end. */
  readonly text: string
  /** It is what the chart is about. */
  readonly isOurs: boolean
}

export interface Group {
  readonly title: string
  readonly bars: readonly Bar[]
}

export interface Chart {
  readonly title: string
  readonly groups: readonly Group[]
  /** Each power of ten as long as the next one; else in proportion. */
  readonly logarithmic?: boolean
}

const WIDTH = 720
const NAMES = 160
const NUMBERS = 90
const BAR = 18
const GAP = 4
const TITLE = 28

export function drawChart({ title, groups, logarithmic = false }: Chart): string {
  const lines: string[] = []
  let y = TITLE + 8
  for (const group of groups) {
    if (group.title !== '') {
      lines.push(text(8, y + 14, group.title, 'group'))
      y += TITLE - 4
    }
    const values = group.bars.map(({ value }) => value).filter(value => value > 0)
    const scale = scaleOf(values, logarithmic)
    for (const { name, value, text: label, isOurs } of group.bars) {
      const width = Number.isFinite(value) ? Math.max(1, scale(value) * (WIDTH - NAMES - NUMBERS)) : 0
      lines.push(
        text(NAMES - 8, y + 13, name, 'name'),
        `<rect class="${isOurs ? 'ours' : 'theirs'}" x="${NAMES}" y="${y}" width="${width.toFixed(1)}" height="${BAR}"/>`,
        text(NAMES + width + 6, y + 13, label, 'number'),
      )
      y += BAR + GAP
    }
    y += 10
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" role="img">
<title>${escaped(title)}</title>
<style>
text { font: 13px system-ui, sans-serif; fill: #555 }
.title { font-size: 15px; font-weight: 600 }
.group { font-weight: 600 }
.name { text-anchor: end }
.ours { fill: #d9480f }
.theirs { fill: #8d99ae }
@media (prefers-color-scheme: dark) { text { fill: #bbb } }
</style>
${text(8, 20, title, 'title')}
${lines.join('\n')}
</svg>
`
}

/** To a share of the width. */
function scaleOf(values: readonly number[], logarithmic: boolean): (value: number) => number {
  const most = Math.max(...values, Number.MIN_VALUE)
  if (!logarithmic) return value => value / most
  // From the power of ten below the least.
  const floor = Math.floor(Math.log10(Math.min(...values)))
  const span = Math.log10(most) - floor
  return value => (value <= 0 ? 0 : (Math.log10(value) - floor) / span)
}

function text(x: number, y: number, content: string, kind: string): string {
  return `<text class="${kind}" x="${x.toFixed(1)}" y="${y}">${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
