/**
 * The life of the key: it signs only once its public half is in DNS. Until then every message is answered 451 with the
 * reason, and publishing is tried again.
 */

import type { Log } from '../observe/event.ts'
import type { PublishOutcome } from './publish.ts'

export type KeyState =
  | { readonly state: 'pending'; readonly reason: string }
  | { readonly state: 'active'; readonly since: number }

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000

/** How long to wait after the `failures`th failure in a row. */
export function pauseMs(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
}

export class LifeCycle {
  readonly #publish: () => Promise<PublishOutcome>
  readonly #log: Log
  readonly #now: () => number
  #state: KeyState = { state: 'pending', reason: 'the public key is not in DNS yet' }
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | null = null
  #closed = false

  constructor(options: { publish: () => Promise<PublishOutcome>; log: Log; now: () => number }) {
    this.#publish = options.publish
    this.#log = options.log
    this.#now = options.now
  }

  get state(): KeyState {
    return this.#state
  }

  /** Asks DNS now, and publishes where that is needed. Resolves after this attempt, whatever came of it. */
  check(): Promise<void> {
    this.#running ??= this.#attempt().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #attempt(): Promise<void> {
    clearTimeout(this.#timer)
    const outcome = await this.#publish()
    if (this.#closed) return
    if (outcome.kind === 'published' || outcome.kind === 'already') {
      this.#failures = 0
      this.#state = { state: 'active', since: this.#now() }
      this.#log.event('key', { state: 'active', record: outcome.kind })
      return
    }
    this.#failures++
    const retryMs = pauseMs(this.#failures)
    const reason = outcome.kind === 'failure' ? outcome.reason : outcome.explanation
    const code = 'code' in outcome ? outcome.code : undefined
    // A key that was seen in DNS goes on signing while DNS cannot be asked; one that is known to be wrong does not.
    if (this.#state.state === 'pending' || outcome.kind !== 'failure') {
      this.#state = { state: 'pending', reason }
    }
    this.#log.event(
      'alarm',
      { about: 'key', outcome: outcome.kind, code, reason, retry_ms: retryMs },
      'error',
    )
    this.#timer = setTimeout(() => void this.check(), retryMs)
  }
}
