/**
 * Writing down what happened, and notices of it. While the spool cannot be written, what was delivered cannot be marked delivered: the
 * results are kept in memory and written again and again, and nothing new is attempted, or every message would be
 * delivered once more at each attempt.
 */

import type { Log } from '../observe/event.ts'
import { type Job, type Queue, QueueError, type RecipientResult } from '../queue/queue.ts'

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 10_000

export class Settler {
  readonly #queue: Queue
  readonly #log: Log
  #failing = 0
  #closed = false

  constructor(queue: Queue, log: Log) {
    this.#queue = queue
    this.#log = log
  }

  /** Some result could not be written yet: no new attempts. */
  get failing(): boolean {
    return this.#failing > 0
  }

  /** Resolves when the results are on disk, or rejects when the relay stops before they could be written. */
  settle(job: Job, results: readonly RecipientResult[], lease?: 'keep'): Promise<void> {
    return this.keep(job.message.id, () => this.#queue.settle(job, results, lease))
  }

  /** `write`, again and again while the spool cannot be written. A notice must be kept before what it tells is settled. */
  async keep<T>(id: string, write: () => Promise<T>): Promise<T> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const written = await write()
        if (pauseMs > FIRST_PAUSE_MS) this.#log.event('spool', { id, state: 'written again' })
        return written
      } catch (error) {
        if (this.#closed || !(error instanceof QueueError)) throw error
        this.#log.event('alarm', { id, about: 'spool', error: String(error), retry_ms: pauseMs }, 'error')
      }
      this.#failing++
      await new Promise(resolve => setTimeout(resolve, pauseMs))
      this.#failing--
    }
  }

  close(): void {
    this.#closed = true
  }
}
