/**
 * What the relay remembers for a while of hosts it could not speak to, or not under TLS: they are asked last, or at once as
 * is known to work. In memory: a restart forgets it, which costs a few attempts. Pure but for the clock it is given.
 */

/** Refused, unreachable: it may be starting again. */
const REFUSED_MS = 2 * 60_000
/** Nothing came: asking costs the whole time-out. */
const SILENT_MS = 15 * 60_000
/** TLS that fails is repaired by people. */
const BROKEN_TLS_MS = 3 * 24 * 3600_000
const MAX_KEPT = 10_000

export class HostMemory {
  readonly #now: () => number
  readonly #dead = new Map<string, number>()
  readonly #brokenTls = new Map<string, number>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** @param silent it did not answer; else it refused */
  failed(address: string, silent: boolean): void {
    keep(this.#dead, address, this.#now() + (silent ? SILENT_MS : REFUSED_MS))
  }

  answered(address: string): void {
    this.#dead.delete(address)
  }

  isDead(address: string): boolean {
    return this.#now() < (this.#dead.get(address) ?? 0)
  }

  /** TLS with this host failed, and clear text worked. */
  tlsFailed(host: string): void {
    keep(this.#brokenTls, host.toLowerCase(), this.#now() + BROKEN_TLS_MS)
  }

  hasBrokenTls(host: string): boolean {
    return this.#now() < (this.#brokenTls.get(host.toLowerCase()) ?? 0)
  }
}

function keep(map: Map<string, number>, key: string, untilMs: number): void {
  map.delete(key)
  map.set(key, untilMs)
  const [oldest] = map.keys()
  if (map.size > MAX_KEPT && oldest !== undefined) map.delete(oldest)
}
