/**
 * Keeps the keys: makes those that are wanted, looks after their records, does what `ptt key` asks for. It knows when;
 * what follows is the life cycle's (life-cycle.ts), what is there DNS's (look.ts).
 */

import type { KeyObject } from 'node:crypto'
import { FileError } from '../config/file.ts'
import type { Algorithm } from '../dkim/signature.ts'
import { Gate } from '../net/resolver-servers.ts'
import type { Log } from '../observe/event.ts'
import { factsOf, type Keyring } from './keyring.ts'
import { dueMs, type Key, nameOf, type Settings, signingKeys, type Target, targetOf } from './life-cycle.ts'
import type { Look } from './look.ts'
import { perform } from './perform.ts'
import { answerRequest, readRequest, waitingRequests } from './request.ts'

export interface KeeperOptions {
  readonly keyring: Keyring
  readonly settings: Settings
  /** The state folder, where requests come. */
  readonly folder: string
  readonly bits: number
  readonly look: (key: Key, target: Target, onStale: (staleSeconds: number) => void) => Promise<Look>
  readonly makeKey: (algorithm: Algorithm, bits: number) => Promise<KeyObject>
  readonly log: Log
  readonly now: () => number
}

const FIRST_PAUSE_MS = 1000
/** While nothing signs for the domain. */
const LONGEST_PAUSE_MS = 60_000
/** While another key does. */
const LONGEST_CALM_PAUSE_MS = 600_000
/** A record that is in use is looked at this often: somebody may take it away. */
const WATCH_MS = 300_000
/** One that is only to stay. */
const RETIRING_MS = 3_600_000
const REQUESTS_MS = 1000
const LOOKS_AT_A_TIME = 8
const KEYS_AT_A_TIME = 8

/** How long to wait after the `failures`th failure in a row. */
export function pauseMs(failures: number, longestMs: number = LONGEST_PAUSE_MS): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20), longestMs)
}

interface Watch {
  readonly target: Target
  readonly dueMs: number
  readonly failures: number
}

export class KeyKeeper {
  readonly #options: KeeperOptions
  readonly #watches = new Map<string, Watch>()
  readonly #gate = new Gate(LOOKS_AT_A_TIME)
  /** One thing after the other. */
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #requests: NodeJS.Timeout | undefined
  readonly #done = new Set<string>()
  #generateDueMs = 0
  #closed = false

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#listen()
  }

  /** Looks at the records of all keys now. Resolves after this attempt, whatever came of it. */
  check(): Promise<void> {
    this.#generateDueMs = 0
    return this.#enqueue(async () => {
      await this.#doRequests()
      await this.#pass(true)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#requests)
    await this.#work
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(async () => {
      if (this.#closed) return
      try {
        await task()
      } catch (error) {
        // Whatever it was, keys that are not looked after must not be the end of it.
        this.#alarm({ outcome: 'failure', reason: String(error) })
        this.#wakeAt(this.#options.now() + LONGEST_PAUSE_MS)
      }
    })
    return this.#work
  }

  /** `all`: also what is not due. */
  async #pass(all: boolean): Promise<void> {
    const { keyring, now } = this.#options
    keyring.refresh()
    const more = await this.#makeWanted()
    keyring.apply({ kind: 'tick' })
    await Promise.all(
      keyring.keys
        .filter(key => all || this.#isDue(key))
        .map(key => this.#gate.run(() => (this.#closed ? Promise.resolve() : this.#look(key, all)))),
    )
    if (this.#closed) return
    for (const name of this.#watches.keys())
      if (!keyring.keys.some(key => nameOf(key) === name)) this.#watches.delete(name)
    this.#wakeAt(more ? now() : this.#nextMs(now()))
  }

  #isDue(key: Key): boolean {
    const { now } = this.#options
    const target = targetOf(key, now())
    const watch = this.#watches.get(nameOf(key))
    return target !== null && (watch === undefined || watch.target !== target || watch.dueMs <= now())
  }

  async #look(key: Key, tell: boolean): Promise<void> {
    const { keyring, now, log } = this.#options
    const target = targetOf(key, now())
    if (target === null) return
    const look = await this.#lookSafely(key, target)
    if (this.#closed) return
    const { observation, outcome, code } = look
    keyring.apply({ kind: 'found', id: key, target, observation }, { outcome })
    const after = keyring.find(key)
    if (after === undefined) return
    const isWell = observation.kind === 'served' && observation.objection === null
    const failures = isWell ? 0 : (this.#watches.get(nameOf(key))?.failures ?? 0) + 1
    const waitMs = this.#waitMs(after, failures)
    this.#watches.set(nameOf(key), { target, failures, dueMs: now() + waitMs })
    if (after.stage === key.stage && tell) {
      const reason = after.stage === 'active' ? undefined : after.reason
      log.event('key', { ...factsOf(after), state: after.stage, record: outcome, reason })
    }
    if (observation.kind === 'conflict' || observation.kind === 'unknown') {
      const { reason } = observation
      this.#alarm({ ...factsOf(key), outcome, code, reason, retry_ms: waitMs })
    }
  }

  async #lookSafely(key: Key, target: Target): Promise<Look> {
    const { look, keyring } = this.#options
    const onStale = (staleSeconds: number): void => {
      const observation = { kind: 'absent', staleSeconds } as const
      // Before it is published: otherwise a crash would forget that there was nothing, and for how long that is believed.
      const durable = key.origin === 'generated'
      keyring.apply({ kind: 'found', id: key, target, observation }, { durable })
    }
    try {
      return await look(key, target, onStale)
    } catch (error) {
      const code = error instanceof FileError ? 'STATE' : 'FAULT'
      const reason = error instanceof Error ? error.message : String(error)
      return { observation: { kind: 'unknown', reason }, outcome: 'failure', code }
    }
  }

  /** How long until a key is looked at again. */
  #waitMs(key: Key, failures: number): number {
    const { keyring, settings, now } = this.#options
    const usualMs = key.stage === 'retiring' || key.stage === 'revoked' ? RETIRING_MS : WATCH_MS
    if (failures > 0) {
      const others = signingKeys(keyring.keys, key.domain).length > 0
      return Math.min(pauseMs(failures, others ? LONGEST_CALM_PAUSE_MS : LONGEST_PAUSE_MS), usualMs)
    }
    // Somebody remembers that it was not there: until then there is nothing to see.
    const leftMs = key.stage === 'published' ? dueMs(key, settings) - now() : 0
    return leftMs > 0 ? Math.min(leftMs, usualMs) : usualMs
  }

  /** Resolves with whether there are more to be made. */
  async #makeWanted(): Promise<boolean> {
    const { keyring, bits, makeKey, now } = this.#options
    if (now() < this.#generateDueMs) return false
    let made = 0
    for (const domain of keyring.domains()) {
      for (const algorithm of keyring.wanted(domain)) {
        // Those that are there are published first: the keys of a thousand domains take minutes.
        if (made++ === KEYS_AT_A_TIME) return true
        const isFirst = !keyring.keys.some(key => key.domain === domain && key.algorithm === algorithm)
        const reason = isFirst ? 'the domain had none' : 'to take the place of one'
        try {
          const privateKey = await makeKey(algorithm, bits)
          if (this.#closed) return false
          keyring.add({ domain, ...keyring.newSelector(domain, algorithm) }, privateKey, reason)
        } catch (error) {
          this.#alarm({
            domain,
            algorithm,
            outcome: 'failure',
            code: 'STATE',
            reason: (error as Error).message,
          })
          this.#generateDueMs = now() + LONGEST_PAUSE_MS
          return false
        }
      }
    }
    return false
  }

  /** When there is something to do next: a look, or what time alone does to a key. */
  #nextMs(nowMs: number): number {
    const { keyring, settings } = this.#options
    const moments = [...this.#watches.values()].map(watch => watch.dueMs)
    for (const key of keyring.keys) {
      const due = dueMs(key, settings)
      // What is past has been done, or waits for something else: a new key for an old one.
      if (due > nowMs) moments.push(due)
    }
    if (this.#generateDueMs > nowMs) moments.push(this.#generateDueMs)
    return Math.min(...moments, nowMs + RETIRING_MS)
  }

  #wakeAt(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    const delayMs = Math.max(ms - this.#options.now(), 1)
    this.#timer = setTimeout(() => void this.#enqueue(() => this.#pass(false)), delayMs)
  }

  #listen(): void {
    if (this.#closed) return
    this.#requests = setTimeout(() => {
      void this.#enqueue(async () => {
        if (await this.#doRequests()) await this.#pass(true)
      }).then(() => this.#listen())
    }, REQUESTS_MS)
  }

  /** Resolves with whether there was any. */
  async #doRequests(): Promise<boolean> {
    const { folder, keyring, makeKey, bits, log } = this.#options
    const ids = waitingRequests(folder).filter(id => !this.#done.has(id))
    for (const id of ids) {
      // One that cannot be taken away is done once all the same.
      this.#done.add(id)
      const request = readRequest(folder, id)
      // What is asked about DNS is answered when it has been looked at.
      if (request?.kind === 'check') await this.#pass(true)
      const answer = await perform(request, { keyring, makeKey, bits })
      log.event('key', { request: request?.kind ?? 'unknown', ok: answer.ok, reason: answer.text })
      try {
        answerRequest(folder, id, answer)
      } catch (error) {
        this.#alarm({ outcome: 'failure', code: 'STATE', reason: (error as Error).message })
      }
    }
    return ids.length > 0
  }

  #alarm(facts: Record<string, string | number | undefined>): void {
    this.#options.log.event('alarm', { about: 'key', ...facts }, 'error')
  }
}
