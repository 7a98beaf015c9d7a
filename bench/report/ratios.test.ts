import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changesOf, isRegression } from './ratios.ts'
import type { Figures, RowResults } from './results.ts'

const figures = (
  contender: string,
  deliveredPerSecond: number,
  cpuMsPerMessage: number,
  p50 = 1,
): Figures => ({
  contender,
  signed: true,
  deliveredPerSecond,
  spread: 0,
  cpuMsPerMessage,
  peakRssBytes: 1,
  latencyMs: { p50, p99: 2 * p50, p999: 3 * p50 },
  runs: 1,
  flaws: [],
})
const row = (name: string, ...all: Figures[]): RowResults => ({
  row: name,
  title: name,
  sizeOctets: 4096,
  figures: all,
})

test('a slower machine is no regression, a slower ptt is one', () => {
  const before = { rows: [row('4k', figures('ptt', 2000, 0.5), figures('exim', 100, 10))] }
  const slowMachine = { rows: [row('4k', figures('ptt', 1000, 1), figures('exim', 50, 20))] }
  assert.deepEqual(
    changesOf(before, slowMachine).map(change => isRegression(change, 0.1)),
    [false, false],
  )
  const slowPtt = { rows: [row('4k', figures('ptt', 1700, 0.6), figures('exim', 100, 10))] }
  const changes = changesOf(before, slowPtt)
  assert.deepEqual(
    changes.map(({ row: name, peer, what, before: then, now }) => [
      name,
      peer,
      what,
      then,
      Math.round(now * 10) / 10,
    ]),
    [
      ['4k', 'exim', 'delivered/s', 20, 17],
      ['4k', 'exim', 'CPU', 20, 16.7],
    ],
  )
  assert.ok(changes.every(change => isRegression(change, 0.1)))
})

test('at half load latencies are compared', () => {
  const before = { rows: [row('half-load', figures('ptt', 1, 1, 2), figures('exim', 1, 1, 10))] }
  const now = { rows: [row('half-load', figures('ptt', 1, 1, 4), figures('exim', 1, 1, 10))] }
  assert.deepEqual(
    changesOf(before, now).map(({ what, before: then, now: at }) => [what, then, at]),
    [
      ['p50', 5, 2.5],
      ['p99', 5, 2.5],
    ],
  )
})

test('what one of them does not have is not compared', () => {
  const before = { rows: [row('4k', figures('ptt', 2, 1), figures('exim', 1, 1))] }
  assert.deepEqual(changesOf(before, { rows: [row('1k', figures('ptt', 2, 1), figures('exim', 1, 1))] }), [])
  assert.deepEqual(
    changesOf(before, { rows: [row('4k', figures('ptt', 2, 1), figures('haraka', 1, 1))] }),
    [],
  )
  const failed = { rows: [row('4k', figures('ptt', 2, 1), figures('exim', 0, Number.NaN))] }
  assert.ok(!changesOf(before, failed).some(change => isRegression(change, 0.1)))
})
