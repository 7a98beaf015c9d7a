/**
 * When each message of a run went in and came out, in memory that generator, sink and the bench itself share: nothing is
 * told from one to the other while it is measured. Times are of the system's monotonic clock, which all threads have in common.
 */

/** More than any run can deliver. */
export const MOST_MESSAGES = 400_000

export interface Shared {
  readonly times: SharedArrayBuffer
  readonly counts: SharedArrayBuffer
}

const COUNTS = ['run', 'accepted', 'refused', 'delivered', 'again', 'strange', 'reconnected'] as const
type Count = (typeof COUNTS)[number]

export function shareTimeline(): Shared {
  return {
    times: new SharedArrayBuffer(2 * MOST_MESSAGES * Float64Array.BYTES_PER_ELEMENT),
    counts: new SharedArrayBuffer(COUNTS.length * Int32Array.BYTES_PER_ELEMENT),
  }
}

export class Timeline {
  /** Milliseconds; 0: not yet. By the index of the message. */
  readonly sent: Float64Array
  readonly arrived: Float64Array
  readonly #counts: Int32Array

  constructor({ times, counts }: Shared) {
    this.sent = new Float64Array(times, 0, MOST_MESSAGES)
    this.arrived = new Float64Array(times, MOST_MESSAGES * Float64Array.BYTES_PER_ELEMENT, MOST_MESSAGES)
    this.#counts = new Int32Array(counts)
  }

  /** Forgets all, but that there is another run now: what arrives late of an earlier one is `strange`. */
  begin(run: number): void {
    this.#counts.fill(0)
    this.sent.fill(0)
    this.arrived.fill(0)
    Atomics.store(this.#counts, COUNTS.indexOf('run'), run)
  }

  count(what: Count): number {
    return Atomics.load(this.#counts, COUNTS.indexOf(what))
  }

  add(what: Count): number {
    return Atomics.add(this.#counts, COUNTS.indexOf(what), 1)
  }

  /** A message is at the sink, whole. */
  arrive(run: number, index: number): void {
    if (run !== this.count('run') || index >= MOST_MESSAGES) this.add('strange')
    else if (this.arrived[index] !== 0) this.add('again')
    else {
      this.arrived[index] = nowMs()
      this.add('delivered')
    }
  }
}

/** Milliseconds of CLOCK_MONOTONIC: `performance.now()` begins anew in every thread. */
export function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
