/**
 * In which order servers are asked: those configured first come first, those that lately did not answer last.
 */

import type { Endpoint } from './endpoint.ts'

/** RFC 2308 §7.2: a server must not be thought dead for more than five minutes. */
const DEAD_MS = 30_000

export class ServerOrder {
  readonly #servers: readonly Endpoint[]
  readonly #deadUntilMs = new Map<Endpoint, number>()

  constructor(servers: readonly Endpoint[]) {
    this.#servers = servers
  }

  order(nowMs: number): Endpoint[] {
    const isDead = (server: Endpoint): boolean => (this.#deadUntilMs.get(server) ?? 0) > nowMs
    return [...this.#servers.filter(server => !isDead(server)), ...this.#servers.filter(isDead)]
  }

  silent(server: Endpoint, nowMs: number): void {
    this.#deadUntilMs.set(server, nowMs + DEAD_MS)
  }

  answered(server: Endpoint): void {
    this.#deadUntilMs.delete(server)
  }
}

/** At most `limit` tasks at a time, so that a burst of questions does not use up the file descriptors. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    this.#free = limit
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
