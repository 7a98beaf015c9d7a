/**
 * `npm run bench`: ptt and other mail servers side by side on this machine, the same generator and the same sink for all.
 * `npm run bench -- --help` says how.
 *
 * REACHES     127.0.0.0/8 only; the first time, the registries its peers come from.
 * BUGS        Generator and sink share the machine's cores with what they measure, as they do for everybody.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Arguments, HELP, readArguments } from './arguments.ts'
import { compareHandshakes } from './handshakes.ts'
import { addressOf, Load, type Order } from './load/load.ts'
import { byOneDoor, CONTENDERS, type Contender, ROWS, type Row, type SystemName } from './plan.ts'
import { aimsOf } from './report/aims.ts'
import { chartFile, chartsOf } from './report/charts.ts'
import { figuresOf, type Results, type RowResults, summaryOf } from './report/results.ts'
import { formatHandshakes, formatIdle, formatRow, number } from './report/table.ts'
import { type Measurement, measure } from './run.ts'
import { formatFigure } from './smtp/report.ts'
import { type Systems, startSystems } from './systems/start.ts'

const WARM_UP: Omit<Order, 'seconds'> = { sessions: 20, sizeOctets: 4096, destinations: 100, rate: null }
/**
 * Servers run for months: what the compiler of V8, in ptt and in Haraka, does in the first 40,000 messages is not what is measured.
 * After 2 s ptt took three times the CPU that it takes when it is warm, Haraka twice; after 15 s ptt took 7 % more.
 */
const COMPILED_BY_V8: ReadonlySet<SystemName> = new Set(['ptt', 'haraka'])
const WARM_UP_SECONDS = { whole: { compiled: 30, others: 15 }, quick: { compiled: 15, others: 2 } }
/** After the start, before the memory is looked at. */
const IDLE_MS = 2_000

const wanted = process.argv.slice(2)
if (wanted.includes('--help')) {
  console.log(HELP)
} else {
  let options: Arguments
  try {
    options = readArguments(wanted)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(2)
  }
  await bench(options)
}

async function bench(options: Arguments): Promise<void> {
  const tell = (text: string) => (options.json ? console.error(text) : console.log(text))
  const contenders = CONTENDERS.filter(
    contender => isChosen(options.only, contender.name) && (!options.quick || byOneDoor(contender)),
  )
  const rows = ROWS.filter(row => isChosen(options.rows, row.name) && (!options.quick || row.quick !== null))
  const load = await Load.start()
  const { sinkPort } = load
  let systems: Systems | null = null
  const giveUp = async () => {
    await systems?.stop()
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void giveUp())
  try {
    systems = await startSystems({
      names: [...new Set(contenders.map(({ system }) => system))],
      sinkPort,
      folder: options.folder,
      profile: options.profile,
      settings: options.settings,
    })
    for (const [name, reason] of systems.missing) tell(`SKIPPED: ${name}: ${reason}\n`)
    const there = contenders.filter(({ system }) => systems?.running.has(system))
    const ceilingPerSecond = await ceiling(load, sinkPort)
    tell(`Generator to sink, nothing between: ${number(ceilingPerSecond)} messages/s\n`)
    const idle = await idleMemory(systems)
    tell(formatIdle(idle))
    await warmUp(load, systems, options)
    const results: RowResults[] = []
    const rates = new Map<string, number>()
    for (const row of rows) {
      const result = await runRow(row, there.filter(row.contenders), load, systems, options, rates)
      if (result.figures.length === 0) continue
      results.push(result)
      tell(formatRow(result))
    }
    const handshakes = await newSessions(systems, options)
    if (handshakes !== null) tell(formatHandshakes(handshakes))
    for (const aim of aimsOf({ rows: results, idle, handshakes })) tell(formatFigure(aim))
    const versions = Object.fromEntries([...systems.running].map(([name, { version }]) => [name, version]))
    finish(options, {
      versions,
      rows: results,
      idle,
      handshakes,
      ceilingPerSecond,
      missing: Object.fromEntries(systems.missing),
    })
  } finally {
    await systems?.stop()
    await load.stop()
  }
}

async function warmUp(load: Load, { running }: Systems, { quick }: Arguments): Promise<void> {
  for (const [name, system] of running) {
    const seconds =
      WARM_UP_SECONDS[quick ? 'quick' : 'whole'][COMPILED_BY_V8.has(name) ? 'compiled' : 'others']
    const [door] = Object.values(system.doors)
    // What is wrong then will be wrong in every row, and is told there.
    if (door !== undefined) await load.run(door, { ...WARM_UP, seconds }).catch(() => {})
  }
}

/** 4 KiB messages, after V8 has seen some. */
async function ceiling(load: Load, sinkPort: number): Promise<number> {
  const door = { host: addressOf(1), port: sinkPort, ca: null, credentials: null }
  const order = { ...WARM_UP, destinations: 1, seconds: 1 }
  await load.run(door, order)
  return (await load.run(door, order)).perSecond
}

/** What they take before they have anything to do. */
async function idleMemory({ running }: Systems): Promise<Results['idle']> {
  await pause(IDLE_MS)
  return Object.fromEntries(
    [...running].map(([name, { processes }]) => [
      name,
      { residentBytes: processes.residentOctets(), sharedBytes: processes.sharedOctets() },
    ]),
  )
}

async function newSessions(
  { running, tls, folder }: Systems,
  options: Arguments,
): Promise<Results['handshakes']> {
  const ptt = running.get('ptt')
  if (ptt === undefined || options.quick || !isChosen(options.rows, 'handshakes')) return null
  return compareHandshakes(ptt, tls, folder, { seconds: options.seconds ?? 2, rounds: options.rounds ?? 3 })
}

/** The contenders in turn, and again. */
async function runRow(
  row: Row,
  contenders: readonly Contender[],
  load: Load,
  { running, keyRecord }: Systems,
  options: Arguments,
  rates: Map<string, number>,
): Promise<RowResults> {
  const usual = options.quick ? (row.quick ?? row) : row
  const rounds = options.rounds ?? usual.rounds
  const entrants = contenders.flatMap(contender => {
    const system = running.get(contender.system)
    const door = system?.doors[contender.door]
    return system === undefined || door === undefined ? [] : { contender, system, door }
  })
  const { sessions, sizeOctets, destinations, warmUpSeconds } = row
  const order = { sessions, sizeOctets, destinations, rate: null }
  const measured = new Map<Contender, Measurement[]>()
  for (let round = 0; round < rounds; round++) {
    for (const { contender, system, door } of entrants) {
      // What is wrong then will be wrong when it is measured, and is told there.
      if (round === 0 && warmUpSeconds > 0)
        await load.run(door, { ...order, seconds: warmUpSeconds }).catch(() => {})
      const full = rates.get(contender.name)
      const rate = row.load === null || full === undefined ? null : full * row.load
      const paced: Order = { ...order, seconds: options.seconds ?? usual.seconds, rate }
      const expected = { signed: contender.signed, keyRecord }
      const measurement = await measure(load, system, door, paced, expected).catch(failed)
      measured.set(contender, [...(measured.get(contender) ?? []), measurement])
    }
  }
  const figures = [...measured].map(([contender, runs]) => figuresOf(contender.name, contender.signed, runs))
  if (row === ROWS[0])
    for (const { contender, deliveredPerSecond } of figures) rates.set(contender, deliveredPerSecond)
  return { row: row.name, title: row.title, sizeOctets: row.sizeOctets, figures }
}

/** A run that could not be: the others go on. */
function failed(error: Error): Measurement {
  return {
    delivered: 0,
    deliveredPerSecond: 0,
    seconds: 0,
    cpuMsPerMessage: Number.NaN,
    peakRssBytes: Number.NaN,
    latencyMs: { p50: Number.NaN, p99: Number.NaN, p999: Number.NaN },
    flaws: [error.message],
  }
}

function finish(options: Arguments, measured: Omit<Results, 'date' | 'machine' | 'node' | 'quick'>): void {
  const results: Results = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    node: process.version,
    quick: options.quick,
    ...measured,
  }
  if (options.output !== null) {
    mkdirSync(dirname(options.output), { recursive: true })
    writeFileSync(options.output, `${JSON.stringify(results, null, 2)}\n`)
    for (const [name, svg] of chartsOf(results)) writeFileSync(chartFile(options.output, name), svg)
  }
  if (options.json) console.log(JSON.stringify(summaryOf(results)))
}

function machine(): string {
  const models = cpus()
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  return `${models.length} × ${models[0]?.model.trim() ?? 'CPU'}, ${gibibytes} GiB`
}

function isChosen(names: readonly string[], name: string): boolean {
  return names.length === 0 || names.includes(name)
}
