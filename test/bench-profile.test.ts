import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flameGraph } from '../bench/profile/flame-graph.ts'
import { type Call, readSamples } from '../bench/profile/samples.ts'
import { formatSummary } from '../bench/profile/summary.ts'

const call = (functionName: string, url: string, lineNumber: number) => ({ functionName, url, lineNumber })
const ROOT = 'file:///srv/ptt'
const PROFILE = JSON.stringify({
  nodes: [
    { id: 1, callFrame: call('(root)', '', -1), children: [2, 3, 4] },
    { id: 2, callFrame: call('(idle)', '', -1) },
    { id: 3, callFrame: call('sign', `${ROOT}/src/dkim/sign.ts`, 9), children: [5, 6, 8] },
    { id: 4, callFrame: call('(garbage collector)', '', -1) },
    { id: 5, callFrame: call('writev', '', -1) },
    { id: 6, callFrame: call('put', `${ROOT}/node_modules/lmdb/write.js`, 0), children: [7] },
    { id: 7, callFrame: call('', 'node:buffer', 4) },
    { id: 8, callFrame: call('writev', '', -1) },
  ],
  startTime: 1000,
  //    1100 1200 1300 1400 1500 1600 1700 1800 1900 2000
  samples: [2, 3, 5, 8, 7, 6, 4, 2, 2, 3],
  timeDeltas: [100, 100, 100, 100, 100, 100, 100, 100, 100, 100],
})

function flat({ name, place, room, self, total, children }: Call): unknown[] {
  return [[name, place, room, self, total], ...children.flatMap(flat)]
}

test('samples of the spell are counted, each once, by who called whom', () => {
  const { root, count, seconds } = readSamples(PROFILE, { from: 1150, to: 1850 })
  assert.equal(count, 7)
  assert.equal(seconds, 700e-6)
  assert.deepEqual(flat(root), [
    ['(root)', '', 'all', 0, 7],
    ['sign', 'src/dkim/sign.ts:10', 'dkim', 1, 5],
    ['writev', '', 'native', 2, 2],
    ['put', 'node_modules/lmdb/write.js:1', 'npm lmdb', 1, 2],
    ['(anonymous)', 'node:buffer:5', 'node', 1, 1],
    ['(idle)', '', 'idle', 1, 1],
    ['(garbage collector)', '', 'garbage collector', 1, 1],
  ])
  assert.throws(() => readSamples(PROFILE, { from: 5000, to: 6000 }), /no sample of that time/)
})

test('in short: shares of what was not idle', () => {
  const text = formatSummary(readSamples(PROFILE, { from: 1150, to: 1850 }))
  assert.match(text, /^7 samples in 0\.0 s, of them idle 14 %/)
  assert.match(text, /by room\n +33\.3 % {2}native\n/)
  assert.match(text, / 16\.7 % {2}sign {2}src\/dkim\/sign\.ts:10$/m)
  assert.doesNotMatch(text, /\(idle\)/)
})

test('names cannot become markup of the page', () => {
  const strange = PROFILE.replace('"put"', '"</script><b>"')
  const page = flameGraph(readSamples(strange, { from: 0, to: 9999 }), { title: '<i>', subtitle: 'a & b' })
  assert.ok(page.includes('<h1>&lt;i></h1>') && page.includes('<p>a &amp; b</p>'))
  assert.equal(page.match(/<\/script>/g)?.length, 1)
})
