import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Measurement } from '../run.ts'
import { isReached } from '../smtp/report.ts'
import { aimsOf } from './aims.ts'
import { drawChart } from './chart.ts'
import { chartFile, chartsOf } from './charts.ts'
import { markdownOf } from './markdown.ts'
import { figuresOf, type Results, summaryOf } from './results.ts'
import { formatRow } from './table.ts'

const measurement = (deliveredPerSecond: number, p50: number): Measurement => ({
  delivered: 10,
  deliveredPerSecond,
  seconds: 1,
  cpuMsPerMessage: 0.51234,
  peakRssBytes: 2 ** 28,
  latencyMs: { p50, p99: 2 * p50, p999: 3 * p50 },
  flaws: [],
})

const ptt = figuresOf('ptt', true, [measurement(1900, 5), measurement(2000, 4), measurement(2200, 6)])
const exim = figuresOf('exim', true, [{ ...measurement(100, 50), flaws: ['2 were refused'] }])
const calm = figuresOf('ptt', true, [measurement(1000, 1.23456)])
const first = { row: '4k', title: '4 KiB', sizeOctets: 4096, figures: [ptt, exim] }
const results: Results = {
  date: '2026-01-05',
  machine: '2 × A & B <C>',
  node: 'v24.0.0',
  quick: false,
  versions: { ptt: '0.1.0', exim: '4.96' },
  rows: [first, { row: 'half-load', title: 'at half', sizeOctets: 4096, figures: [calm] }],
  idle: { ptt: { residentBytes: 3e8, sharedBytes: 2e8 } },
  handshakes: { submission: { perSecond: 900, cpuMs: 1 }, bare: { perSecond: 1000, cpuMs: 1 } },
  ceilingPerSecond: 20_000,
  missing: { haraka: 'no npm' },
}

test('the figures of several runs are their medians', () => {
  assert.equal(ptt.deliveredPerSecond, 2000)
  assert.equal(ptt.spread, 0.1)
  assert.deepEqual(ptt.latencyMs, { p50: 5, p99: 10, p999: 15 })
  assert.equal(ptt.runs, 3)
})

test('--json: these keys and no others, latencies at half load where there are some', () => {
  assert.deepEqual(summaryOf(results), {
    systems: [
      {
        name: 'ptt',
        signed: true,
        deliveredPerSecond: 2000,
        cpuMsPerMessage: 0.512,
        peakRssBytes: 268435456,
        latencyMs: { p50: 1.23, p99: 2.47, p999: 3.7 },
      },
      {
        name: 'exim',
        signed: true,
        deliveredPerSecond: 100,
        cpuMsPerMessage: 0.512,
        peakRssBytes: 268435456,
        latencyMs: { p50: 50, p99: 100, p999: 150 },
      },
    ],
  })
})

test('the table has every contender, and what was wrong with its runs', () => {
  const lines = formatRow(first).split('\n')
  assert.match(lines[2] ?? '', /^ {2}ptt +2,000 +10 % +8\.19 +0\.51 +256 +5 +10 +15$/)
  assert.match(lines[3] ?? '', /^ {2}exim +100 /)
  assert.equal(lines[4], '  ! exim: 2 were refused')
})

test('the aims are held against what was measured, and no others', () => {
  const aims = aimsOf(results).map(figure => [figure.name, Math.round(figure.value), isReached(figure)])
  assert.deepEqual(aims, [
    ['delivered, 4 KiB, 20 sessions', 2000, true],
    ['times the fastest peer, 20 sessions', 20, true],
    ['p50 at half load', 1, true],
    ['p99 at half load', 2, true],
    ['idle, resident sets of the three services', 300, false],
    ['new TLS sessions, of the tls module alone', 90, true],
  ])
})

test('the aims of 4 KiB are held against 100 sessions too', () => {
  const many = { row: '100-sessions', title: 'many', sizeOctets: 4096, figures: [calm, exim] }
  const aims = aimsOf({ rows: [many], idle: {}, handshakes: null })
  assert.deepEqual(
    aims.map(figure => [figure.name, figure.value, isReached(figure)]),
    [
      ['delivered, 4 KiB, 100 sessions', 1000, false],
      ['times the fastest peer, 100 sessions', 10, true],
    ],
  )
})

test('README gets the ratio, the memory, the sessions, and what went wrong', () => {
  const text = markdownOf(results, 'bench/results/2026-01-05.json')
  for (const part of [
    '| ptt | 2,000 ± 10 % | 0.51 | 256 | 1.23 / 2.47 / 3.7 |',
    'ptt delivers 20 times what the fastest peer does (exim).',
    'take 191 MiB before the first message',
    '90 % of a server of nothing but',
    '- haraka was not measured: no npm',
    '- exim (4 KiB): 2 were refused',
    '(bench/results/2026-01-05-delivered.svg)',
  ])
    assert.ok(text.includes(part), `${part}\nis not in\n${text}`)
})

test('a chart is as long as its figures, and holds what XML would take for its own', () => {
  const [[name, svg = ''] = [], latency] = chartsOf(results)
  assert.equal(name, 'delivered')
  assert.match(svg, /2 × A &amp; B &lt;C&gt;/)
  const widths = [...svg.matchAll(/<rect class="(\w+)" .*?width="([\d.]+)"/g)].map(([, kind, width]) => [
    kind,
    Number(width),
  ])
  assert.deepEqual(widths, [
    ['ours', 470],
    ['theirs', 23.5],
  ])
  assert.equal(latency?.[0], 'latency')
  assert.equal(chartFile('a/2026.json', 'latency'), 'a/2026-latency.svg')
})

test('in a logarithmic chart ten times as much is one step more', () => {
  const bar = (value: number) => ({ name: '', value, text: '', isOurs: false })
  const svg = drawChart({
    title: '',
    logarithmic: true,
    groups: [{ title: '', bars: [bar(1000), bar(100), bar(10)] }],
  })
  const widths = [...svg.matchAll(/<rect .*?width="([\d.]+)"/g)].map(([, width]) => Number(width))
  assert.deepEqual(widths, [470, 235, 1])
})
