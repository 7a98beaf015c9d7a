/**
 * `npm run fuzz`: mutated inputs for every parser (test/fuzz/targets), from the corpus in test/fuzz/corpus. What a parser
 * must not do (another error than its own, a property broken, no end, memory without bound) is a finding: its input is
 * kept in the corpus, where `npm test` replays it, and the exit status is 1.
 *
 *   npm run fuzz -- --minutes 30          all targets, in turns
 *   npm run fuzz -- --target smtp-server  one, or several
 *   npm run fuzz -- --seed 7              the same inputs again; by default another seed each time, which is printed
 */

import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { keep } from '../test/fuzz/corpus.ts'
import { TARGETS } from '../test/fuzz/targets/all.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    target: { type: 'string', multiple: true },
    seed: { type: 'string' },
  },
})
const names = values.target ?? [...TARGETS.keys()]
for (const name of names) {
  if (!TARGETS.has(name)) fail(`no target ${name}; there are: ${[...TARGETS.keys()].join(' ')}`)
}
const minutes = Number(values.minutes)
if (!(minutes > 0)) fail('--minutes is a number above 0')
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
if (!Number.isSafeInteger(seed)) fail('--seed is a number')

/** What an input may take; the slow ones are told by their CPU time, far below this. */
const HANG_MS = 30_000
/** A target's turn: every one comes often enough that a run which is cut short has had them all. */
const TURN_MS = 20_000
const MAX_HEAP_MIB = 512

const rounds = Math.max(1, Math.round((minutes * 60_000) / names.length / TURN_MS))
const turnMs = (minutes * 60_000) / names.length / rounds
const totals = new Map(names.map(name => [name, { inputs: 0, ms: 0, answers: 0 }]))
const findings = new Map()
let stopping = false
process.on('SIGINT', () => {
  stopping = true
})

console.log(`seed ${seed}: ${names.length} targets, ${rounds} turns of ${(turnMs / 1000).toFixed(1)} s each`)
for (let round = 0; round < rounds && !stopping; round++) {
  for (const [at, name] of names.entries()) {
    if (!stopping) await turn(name, seed + round * 1009 + at * 101)
  }
}
let all = 0
for (const [name, { inputs, ms, answers }] of totals) {
  all += inputs
  console.log(
    `${name.padEnd(20)} ${count(inputs)} inputs  ${count((inputs * 1000) / ms)}/s  ${count(answers)} kinds of answers`,
  )
}
console.log(`${count(all)} inputs, ${findings.size} findings (seed ${seed})`)
for (const [what, path] of findings) console.log(`${path}: ${what}`)
process.exitCode = findings.size > 0 ? 1 : 0

async function turn(name, seed) {
  const shared = new SharedArrayBuffer(8 + 2 ** 20)
  const worker = new Worker(new URL('../test/fuzz/worker.ts', import.meta.url), {
    workerData: { target: name, seed, forMs: turnMs, shared },
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  })
  const counters = new Int32Array(shared, 0, 2)
  const current = () => Buffer.from(new Uint8Array(shared, 8, counters[1]))
  let last = 0
  // A minimization under way begins no inputs, and has an end of its own.
  const watch = setInterval(() => {
    const begun = Atomics.load(counters, 0)
    if (begun === last) {
      found(name, 'no end: the input takes longer than 30 s', '', current())
      worker.terminate()
    }
    last = begun
  }, HANG_MS)
  await new Promise(resolve => {
    worker.on('message', report => {
      if (report.kind === 'finding') return found(name, report.what, report.error, report.input)
      const total = totals.get(name)
      total.inputs += report.inputs
      total.ms += report.ms
      total.answers = Math.max(total.answers, report.answers)
    })
    worker.on('error', error => found(name, `${error.name}: ${error.message}`, error.stack, current()))
    worker.on('exit', resolve)
  })
  clearInterval(watch)
}

function found(name, what, error, input) {
  const kind = `${name}: ${what}`
  if (findings.has(kind)) return
  const path = keep(name, input)
  findings.set(kind, path)
  console.log(`FINDING ${path}: ${what}\n${error}`)
}

function count(number) {
  return Math.round(number).toLocaleString('en').padStart(11)
}

function fail(text) {
  console.error(`fuzz: ${text}`)
  process.exit(2)
}
