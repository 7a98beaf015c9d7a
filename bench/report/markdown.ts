/** README's section about speed, made of the results that are committed. */

import { chartFile } from './charts.ts'
import type { Figures, Results, RowResults } from './results.ts'
import { number } from './table.ts'

const MEBI = 2 ** 20

/** @param file where the results are, from README */
export function markdownOf(results: Results, file: string): string {
  const [first, ...others] = results.rows
  if (first === undefined) return ''
  const half = results.rows.find(({ row }) => row === 'half-load')
  const size = others.filter(({ row }) => row !== 'half-load')
  return [
    `${results.machine}, Node ${results.node.replace('v', '')}, ${results.date}: ${versions(results)}. Generator and sink run on the same cores; with nothing between them they do ${number(results.ceilingPerSecond)} messages a second. ${first.title}:`,
    mainTable(first, half),
    `![delivered per second](${chartFile(file, 'delivered')})`,
    size.length > 0
      ? `Delivered per second in other rows (MB/s where messages are large):\n\n${rowsTable(size)}`
      : '',
    sentences(results).join(' '),
    flaws(results),
  ]
    .filter(part => part !== '')
    .join('\n\n')
}

function mainTable(first: RowResults, half: RowResults | undefined): string {
  const lines = first.figures.map(figures => {
    const calm = half?.figures.find(({ contender }) => contender === figures.contender)?.latencyMs
    const latency =
      calm === undefined ? '' : `${number(calm.p50)} / ${number(calm.p99)} / ${number(calm.p999)}`
    return row([
      figures.contender,
      `${number(figures.deliveredPerSecond)} ± ${Math.round(figures.spread * 100)} %`,
      number(figures.cpuMsPerMessage),
      number(figures.peakRssBytes / MEBI, 0),
      latency,
    ])
  })
  const head = [
    row(['', 'delivered/s', 'CPU ms a message', 'memory MiB', 'ms at half load: p50 / p99 / p99.9']),
    row(['---', '--:', '--:', '--:', '--:']),
  ]
  return [...head, ...lines].join('\n')
}

/** A row of the bench is a row here, a contender a column. */
function rowsTable(rows: readonly RowResults[]): string {
  const names = [...new Set(rows.flatMap(({ figures }) => figures.map(({ contender }) => contender)))]
  const lines = rows.map(({ title, figures, sizeOctets }) => {
    const cells = names.map(name => {
      const found = figures.find(({ contender }) => contender === name)
      return found === undefined ? '' : cell(found, sizeOctets)
    })
    return row([title, ...cells])
  })
  return [row(['', ...names]), row(['---', ...names.map(() => '--:')]), ...lines].join('\n')
}

function cell({ deliveredPerSecond }: Figures, sizeOctets: number): string {
  if (sizeOctets < MEBI) return number(deliveredPerSecond)
  return `${number(deliveredPerSecond)} (${number((deliveredPerSecond * sizeOctets) / 1e6, 0)} MB/s)`
}

function sentences({ rows, idle, handshakes }: Results): string[] {
  const said: string[] = []
  for (const each of rows) {
    if (each !== rows[0] && each.row !== '100-sessions') continue
    const ours = each.figures.find(({ contender }) => contender === 'ptt')
    const fastest = fastestOf(each)
    if (ours === undefined || fastest === undefined) continue
    const times = number(ours.deliveredPerSecond / fastest.deliveredPerSecond)
    said.push(`${each.title}: ptt delivers ${times} times what the fastest peer does (${fastest.contender}).`)
  }
  const alone = rows.find(({ row }) => row === 'unsigned')
  const relay = alone?.figures.find(({ contender }) => contender === 'ptt/relay')
  const plain = alone && fastestOf(alone)
  if (relay !== undefined && plain !== undefined) {
    const times = number(relay.deliveredPerSecond / plain.deliveredPerSecond)
    said.push(`The relay alone, without signing, delivers ${times} times what ${plain.contender} does.`)
  }
  const memory = idle.ptt
  if (memory !== undefined)
    said.push(
      `The three services take ${number(memory.sharedBytes / MEBI, 0)} MiB before the first message, what they share counted once (${number(memory.residentBytes / MEBI, 0)} MiB as the sum of their resident sets).`,
    )
  if (handshakes !== null) {
    const share = Math.round((handshakes.submission.perSecond / handshakes.bare.perSecond) * 100)
    said.push(
      `Submission takes ${number(handshakes.submission.perSecond)} new TLS sessions a second, ${share} % of a server of nothing but Node's \`tls\` module.`,
    )
  }
  return said
}

export function fastestOf({ figures }: RowResults): Figures | undefined {
  const peers = figures.filter(({ contender }) => !contender.startsWith('ptt'))
  return peers.toSorted((one, other) => other.deliveredPerSecond - one.deliveredPerSecond)[0]
}

function flaws({ rows, missing }: Results): string {
  const found = rows.flatMap(({ title, figures }) =>
    figures.flatMap(({ contender, flaws: own }) => own.map(flaw => `- ${contender} (${title}): ${flaw}`)),
  )
  const gone = Object.entries(missing).map(
    ([name, why]) => `- ${name} was not measured: ${why.split('\n')[0]}`,
  )
  return [...gone, ...found].length === 0
    ? ''
    : ['What went wrong in this run:', '', ...gone, ...found].join('\n')
}

function versions({ versions: all }: Results): string {
  return Object.entries(all)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
