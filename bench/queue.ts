/**
 * What a long queue costs: `node bench/queue.ts [--messages 1000000] [--fresh 20000] [--flight 64] [--folder DIR]`.
 *
 * One spool is empty; in the other so many messages wait, a tenth of them due at a destination that has no room. Fresh mail
 * goes through both in turn: put, leased and settled, each durable. Every figure is of a process of its own, which has just
 * opened the spool. A memory file system tells nothing: --folder is a folder on a disk.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import type { Figures, Work } from './queue-process.ts'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '100000' },
    fresh: { type: 'string', default: '20000' },
    flight: { type: 'string', default: '64' },
    folder: { type: 'string', default: tmpdir() },
  },
})
const messages = Number(values.messages)
const flight = Number(values.flight)
/** Machines do other things too: the best one of so many turns counts, and who is first takes turns. */
const TURNS = 4

function start(script: string, args: readonly (string | number)[]) {
  return spawn(process.execPath, [join(import.meta.dirname, script), ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function figuresOf(script: string, ...args: readonly (string | number)[]): Promise<Figures> {
  const child = start(script, args)
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`${script} ${args.join(' ')} ended with ${code}`)
  return JSON.parse(output)
}

function measure(folder: string, work: Work, count: number, atATime: number): Promise<Figures> {
  return figuresOf('queue-process.ts', folder, work, count, atATime)
}

function print(what: string, figure: string, target?: string): void {
  console.log(`${what.padEnd(58)}${figure.padStart(14)}${target === undefined ? '' : `   (${target})`}`)
}

const number = (value: number, digits = 0) => value.toLocaleString('en', { maximumFractionDigits: digits })

function inTurn<T>(turn: number, both: readonly T[]): readonly T[] {
  return turn % 2 === 0 ? both : both.toReversed()
}

/** Fresh mail through the relay's part behind its queue as well, to a sink of its own. */
async function throughRelay(folders: readonly [empty: string, long: string]) {
  const sink = start('queue-relay.ts', ['sink'])
  try {
    const [line] = await once(sink.stdout, 'data')
    const { port } = JSON.parse(String(line))
    const of: [Figures[], Figures[]] = [[], []]
    const count = Math.ceil(Number(values.fresh) / 2)
    for (let turn = 0; turn < TURNS; turn++)
      for (const [at, folder] of inTurn(turn, [...folders.entries()]))
        of[at]?.push(await figuresOf('queue-relay.ts', folder, count, flight, port))
    return of
  } finally {
    sink.kill()
  }
}

const above = mkdtempSync(join(values.folder, 'ptt-bench-queue-'))
try {
  const [empty, long] = [join(above, 'empty'), join(above, 'long')]
  const filled = await measure(long, 'fill', messages, 256)
  print(`put of 4 KiB, ${number(messages)} messages`, `${number(filled.perSecond)}/s`)
  print('the spool on disk', `${number(filled.fileMiB)} MiB`)

  const turns: ReadonlyMap<string, Figures>[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    const of = new Map<string, Figures>()
    for (const folder of inTurn(turn, [empty, long]))
      of.set(folder, await measure(folder, 'through', Number(values.fresh), flight))
    turns.push(of)
  }
  const best = (which: 'empty' | 'long', of: keyof Figures, choose: (...values: number[]) => number) =>
    choose(...turns.map(turn => turn.get(which === 'empty' ? empty : long)?.[of] ?? Number.NaN))
  const speed = { empty: best('empty', 'perSecond', Math.max), long: best('long', 'perSecond', Math.max) }
  const cpu = { empty: best('empty', 'cpuMicros', Math.min), long: best('long', 'cpuMicros', Math.min) }
  const name = `with ${number(messages)}`
  print(
    'start of the process to the first delivery',
    `${number(best('long', 'firstMs', Math.max))} ms`,
    '≤ 3,000',
  )
  print(`fresh mail through an empty queue`, `${number(speed.empty)}/s`)
  print(`fresh mail through a queue ${name}`, `${number(speed.long)}/s`)
  print('of the speed of an empty queue', `${number((100 * speed.long) / speed.empty)} %`, '≥ 90 %')
  print('CPU of a message through an empty queue', `${number(cpu.empty)} µs`)
  print(`CPU of a message through a queue ${name}`, `${number(cpu.long)} µs`)
  print('of the CPU of an empty queue', `${number(cpu.long / cpu.empty, 2)} ×`, '≤ 1.1 ×')
  const memory = (of: 'rssMiB' | 'ownMiB' | 'mappedMiB') =>
    (['empty', 'long'] as const).map(which => `${number(best(which, of, Math.max))} MiB`)
  for (const [what, of, target] of [
    ['memory', 'rssMiB', '≤ 300'],
    ['  of it its own (RssAnon)', 'ownMiB', undefined],
    ['  of it pages of the spool and of programs (RssFile)', 'mappedMiB', undefined],
  ] as const) {
    const [ofEmpty = '', ofLong = ''] = memory(of)
    print(
      what,
      ofLong,
      [target, `with an empty queue ${ofEmpty}`].filter(each => each !== undefined).join('; '),
    )
  }
  const [ofEmpty, ofLong] = await throughRelay([empty, long])
  const least = (figures: readonly Figures[], of: keyof Figures) => Math.min(...figures.map(each => each[of]))
  const ratio = least(ofLong, 'cpuMicros') / least(ofEmpty, 'cpuMicros')
  print(
    'CPU of a message through the relay, with an empty queue',
    `${number(least(ofEmpty, 'cpuMicros'))} µs`,
  )
  print(`CPU of a message through the relay ${name}`, `${number(least(ofLong, 'cpuMicros'))} µs`)
  print('of the CPU with an empty queue', `${number(ratio, 2)} ×`, '≤ 1.1 ×')
  const memoryOfRelay = Math.max(...ofLong.map(({ rssMiB }) => rssMiB))
  print('memory of the relay', `${number(memoryOfRelay)} MiB`, '≤ 300')
  const list = await measure(long, 'list', 100, 1)
  print('a page of `ptt queue list`, 99 % of them within', `${number(list.p99Ms, 1)} ms`, '≤ 100')
  const due = await measure(long, 'due', 1000, 1)
  print('when something is due next, 99 % within', `${number(due.p99Ms, 2)} ms`)
  const step = await measure(long, 'step', 100, 1)
  print('a step of a search that finds nothing, 99 % within', `${number(step.p99Ms, 1)} ms`, '≤ 100')
  const filtered = await measure(long, 'filtered', 2, 1)
  print('to find that no message is of a sender', `${number(filtered.p99Ms)} ms`)
  const drained = await measure(long, 'drain', messages + 1, 256)
  print('everything delivered, leased one by one', `${number(drained.perSecond)}/s`)
  const after = await measure(long, 'sweep', 1, 1)
  print('the spool on disk after a sweep', `${number(after.fileMiB)} MiB`)
} finally {
  rmSync(above, { recursive: true })
}
