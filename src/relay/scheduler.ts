/**
 * What is due is leased and worked on, as many jobs at a time as there are places: so many in all, and as many at each site
 * as `site/` allows, so that one that is slow or dead never holds up another.
 */

import type { Log } from '../observe/event.ts'
import type { Job, Queue } from '../queue/queue.ts'
import { Bell } from './bell.ts'
import type { Place, Sites } from './site/sites.ts'

/** Jobs at a time over all destinations. */
const PLACES = 500
/** Another process may have changed the queue (`ptt queue retry`): it is looked at this often at least. */
const LOOK_MS = 1000
const SWEEP_MS = 600_000
const FAULT_PAUSE_MS = 60_000

export class Scheduler {
  readonly #queue: Queue
  readonly #sites: Sites
  readonly #work: (job: Job, place: Place) => Promise<void>
  readonly #fault: (job: Job, error: unknown) => Promise<void>
  readonly #sweep: (nowMs: number) => Promise<unknown>
  readonly #paused: () => boolean
  readonly #now: () => number
  readonly #log: Log
  readonly #active = new Set<Promise<void>>()
  #holdsSeenMs = 0
  #closed = false
  readonly #bell = new Bell()
  #running: Promise<void> = Promise.resolve()
  #sweeper: NodeJS.Timeout | undefined

  constructor(options: {
    queue: Queue
    sites: Sites
    work: (job: Job, place: Place) => Promise<void>
    /** `work` has thrown, by a fault of ours: ends the job. */
    fault: (job: Job, error: unknown) => Promise<void>
    /** Gives back what is no longer needed. */
    sweep: (nowMs: number) => Promise<unknown>
    /** While true nothing is begun: the spool cannot be written. */
    paused: () => boolean
    now: () => number
    log: Log
  }) {
    this.#queue = options.queue
    this.#sites = options.sites
    this.#work = options.work
    this.#fault = options.fault
    this.#sweep = options.sweep
    this.#paused = options.paused
    this.#now = options.now
    this.#log = options.log
  }

  start(): void {
    this.#running = this.#run()
    this.#sweeper = setInterval(() => {
      this.#sweep(this.#now()).catch(error => this.#alarm('sweep', error))
    }, SWEEP_MS)
  }

  /** Something may be due that was not a moment ago. */
  wake(): void {
    this.#bell.ring()
  }

  /** Leases nothing more and waits for what is under way, at most `graceMs`; the rest is attempted again after a restart. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    this.wake()
    await this.#running
    let timer: NodeJS.Timeout | undefined
    const grace = new Promise<void>(resolve => {
      timer = setTimeout(resolve, graceMs)
    })
    await Promise.race([Promise.all(this.#active), grace])
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      let waitMs = LOOK_MS
      try {
        await this.#lookAtSites()
        const free = this.#paused() ? 0 : PLACES - this.#active.size
        if (free > 0) {
          const jobs = await this.#queue.lease(this.#now(), free, this.#sites.round())
          for (const job of jobs) this.#begin(job)
          if (jobs.length === free) continue
          const due = await this.#queue.nextDue()
          // What is due and has no room is parked: whoever leaves its site wakes us, and so does the time of its pace.
          const untilDue = due === null ? LOOK_MS : Math.max(due - this.#now(), 0)
          waitMs = Math.min(untilDue, this.#sites.tick() ?? LOOK_MS, LOOK_MS)
        }
      } catch (error) {
        this.#alarm('lease', error)
      }
      if (!this.#closed) await this.#bell.rest(waitMs)
    }
  }

  /** Time passes for sites too, and an operator may hold one. */
  async #lookAtSites(): Promise<void> {
    const nowMs = this.#now()
    if (nowMs - this.#holdsSeenMs >= LOOK_MS) {
      this.#holdsSeenMs = nowMs
      this.#sites.hold(await this.#queue.holds())
    }
    this.#sites.tick()
  }

  #begin(job: Job): void {
    const { destination } = job
    const place = this.#sites.enter(destination)
    const done = this.#work(job, place)
      .catch(error => {
        // What it waited for was given up: after the start it is attempted again.
        if (this.#closed) return this.#queue.release(job)
        return this.#fault(job, error)
      })
      .catch(error => {
        // Not even that. The job keeps its lease for a while: the same fault must not spin.
        this.#alarm(job.message.id, error)
        setTimeout(() => this.#queue.release(job), FAULT_PAUSE_MS).unref()
      })
      .finally(() => {
        this.#active.delete(done)
        place.leave()
        this.wake()
      })
    this.#active.add(done)
  }

  #alarm(about: string, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined
    this.#log.event('alarm', { about, error: String(error), stack }, 'error')
  }
}
