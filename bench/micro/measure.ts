/** One operation again and again: CPU time of it, so that what else the machine does takes nothing away. */

export interface Operation {
  readonly name: string
  /** Octets that one operation takes in, where its speed in them is worth knowing. */
  readonly octets?: number
  readonly run: (() => unknown) | Flight
}

/** Operations that wait for something, so many under way at once. */
export interface Flight {
  readonly atOnce: number
  readonly one: () => Promise<unknown>
}

/** What a file here is about: a folder of `src`. What it opens is closed by whoever opened it, when `measured` resolves. */
export interface Room {
  readonly name: string
  operations(measured: Promise<void>): readonly Operation[] | Promise<readonly Operation[]>
}

/** Nanoseconds of CPU time for each operation: the middle of the batches, the quickest and the slowest of them. */
export interface Timing {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** What operations return is put here: whatever nobody can see the compiler may leave out. */
export const kept: { result: unknown } = { result: undefined }

const BATCHES = 11
/** The clock of CPU time ticks every some microseconds, on old kernels every some milliseconds. */
const BATCH_MICROSECONDS = 15_000
const WARM_UP_MICROSECONDS = 100_000
const FLIGHT_BATCHES = 5

export async function measure({ run }: Operation): Promise<Timing> {
  return typeof run === 'function' ? measureSync(run) : await measureFlight(run)
}

function measureSync(run: () => unknown): Timing {
  let count = 16
  // As many at once as fill a batch; on the way there the compiler does what it will.
  for (let spent = 0; spent < WARM_UP_MICROSECONDS; ) {
    const took = batch(run, count)
    spent += took
    if (took < BATCH_MICROSECONDS) count *= 2
  }
  return timing(Array.from({ length: BATCHES }, () => (batch(run, count) * 1000) / count))
}

/** Microseconds of CPU time of this thread. */
function batch(run: () => unknown, count: number): number {
  const before = process.threadCpuUsage()
  for (let i = 0; i < count; i++) kept.result = run()
  const { user, system } = process.threadCpuUsage(before)
  return user + system
}

/** All threads count: what waits mostly waits for one. */
async function measureFlight({ atOnce, one }: Flight): Promise<Timing> {
  const count = atOnce * 16
  await flight(atOnce, count, one)
  const batches: number[] = []
  for (let i = 0; i < FLIGHT_BATCHES; i++) {
    const before = process.cpuUsage()
    await flight(atOnce, count, one)
    const { user, system } = process.cpuUsage(before)
    batches.push(((user + system) * 1000) / count)
  }
  return timing(batches)
}

async function flight(atOnce: number, count: number, one: () => Promise<unknown>): Promise<void> {
  let begun = 0
  const worker = async () => {
    while (begun++ < count) kept.result = await one()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

function timing(nanoseconds: readonly number[]): Timing {
  const sorted = nanoseconds.toSorted((one, other) => one - other)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return { median: at(sorted.length >> 1), least: at(0), most: at(sorted.length - 1) }
}

/** Each in turn, so that no branch is learnt by heart. */
export function inTurn<T>(inputs: readonly T[], use: (input: T) => unknown): () => unknown {
  let next = 0
  const [first] = inputs
  if (first === undefined) throw new RangeError('there is no input')
  return () => {
    next = next + 1 < inputs.length ? next + 1 : 0
    return use(inputs[next] ?? first)
  }
}

/** mulberry32, 0 ≤ x < 1: the same inputs in every run. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
