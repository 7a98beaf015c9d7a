/**
 * A site: the hosts that take the mail of one or many domains (the set of their MX hosts), as the relay has come to know
 * it. Domains behind one provider share what is allowed there.
 */

import { type Concurrency, failed, initialConcurrency, PROBE, slowed, succeeded } from './concurrency.ts'
import type { Idle } from './idle.ts'
import { Links } from './links.ts'
import { Pace } from './pace.ts'
import type { Shape } from './shape.ts'

/** Nothing is sent to the site until then, and why. */
export interface Closure {
  readonly untilMs: number
  readonly sinceMs: number
  readonly reason: string
}

const FIRST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 15 * 60_000

export class Site {
  /** The names of its hosts, sorted, with commas between them. */
  readonly key: string
  readonly shape: Shape
  readonly links: Links
  readonly #messages: Pace | null
  readonly #connections: Pace | null
  #concurrency: Concurrency
  #closure: Closure | null = null
  /** For how long the site asked us to wait, of the closure; 0: it has asked for nothing. */
  #askedMs = 0
  /** How often in a row the site was closed for not answering. */
  #closures = 0
  #jobs = 0

  constructor(key: string, shape: Shape, idle: Idle) {
    this.key = key
    this.shape = shape
    this.links = new Links(shape, idle)
    this.#concurrency = initialConcurrency(shape.concurrency)
    this.#messages = shape.messagesPerSecond === null ? null : new Pace(shape.messagesPerSecond, 1000)
    this.#connections =
      shape.connectionsPerMinute === null ? null : new Pace(shape.connectionsPerMinute, 60_000)
  }

  get jobs(): number {
    return this.#jobs
  }

  get concurrency(): Concurrency {
    return this.#concurrency
  }

  /** Why nothing is sent there now, or null. */
  closure(nowMs: number): Closure | null {
    return this.#closure !== null && nowMs < this.#closure.untilMs ? this.#closure : null
  }

  /** How many more jobs may be begun at this moment. A closed site has room: its jobs are put off without a connection. */
  room(nowMs: number): number {
    if (this.closure(nowMs) !== null) return Number.POSITIVE_INFINITY
    const places = Math.max(1, this.#concurrency.window) - this.#jobs
    return Math.min(places, this.#messages?.room(nowMs) ?? places, this.#newConnections(nowMs))
  }

  /** When there may be room that there is not now, as far as time alone gives it; 0: now. */
  roomInMs(nowMs: number): number {
    // An open connection needs no new one.
    const connectionMs = this.links.count > 0 ? 0 : (this.#connections?.waitMs(nowMs) ?? 0)
    return Math.max(this.#messages?.waitMs(nowMs) ?? 0, connectionMs)
  }

  enter(nowMs: number): void {
    this.#jobs++
    if (this.closure(nowMs) === null) this.#messages?.take(nowMs)
  }

  leave(): void {
    this.#jobs--
  }

  connecting(nowMs: number): void {
    this.#connections?.take(nowMs)
  }

  /** A host of the site took part in a transaction, whatever it said of the message. */
  succeeded(): void {
    const { concurrency: limits } = this.shape
    // Who answers again after a closure begins as one that is new.
    this.#concurrency =
      this.#closures > 0 ? initialConcurrency(limits) : succeeded(this.#concurrency, this.#jobs, limits)
    this.#closures = 0
  }

  /** No host of the site could be spoken to. @returns the closure, when this was one failure too many */
  failed(nowMs: number, reason: string): Closure | null {
    if (this.closure(nowMs) !== null) return null
    this.#concurrency = failed(this.#concurrency)
    if (this.#concurrency.window > 0) return null
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#closures, LONGEST_PAUSE_MS)
    this.#closures++
    // When the time is over, one job finds out whether it answers again.
    this.#concurrency = PROBE
    this.#closure = { untilMs: nowMs + pauseMs, sinceMs: nowMs, reason }
    this.#askedMs = 0
    return this.#closure
  }

  /**
   * The site says that we come too often, or does not want us: half as much from now on, and nothing before `untilMs`.
   * @returns the closure, when it is a new one
   */
  slow(nowMs: number, untilMs: number, reason: string): Closure | null {
    if (untilMs <= Math.max(nowMs, this.#closure?.untilMs ?? 0)) return null
    const open = this.closure(nowMs)
    const askedMs = untilMs - nowMs
    // Said of each of many recipients, and over each of many connections, it is said once.
    if (open !== null && askedMs <= this.#askedMs) {
      this.#closure = { ...open, untilMs }
      return null
    }
    this.#askedMs = askedMs
    this.#concurrency = slowed(this.#concurrency)
    this.#closure = { untilMs, sinceMs: nowMs, reason }
    return this.#closure
  }

  #newConnections(nowMs: number): number {
    return this.#connections === null
      ? Number.POSITIVE_INFINITY
      : this.links.count + this.#connections.room(nowMs)
  }
}
