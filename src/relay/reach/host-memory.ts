/**
 * What the relay remembers for a while of hosts it could not speak to, or not under TLS: they are asked last, or at once as
 * is known to work. In memory: a restart forgets it, which costs a few attempts. Pure but for the clock it is given.
 */

import type { KeptSession, TlsSessions } from '../../net/wire.ts'

/** Refused, unreachable: it may be starting again. */
const REFUSED_MS = 2 * 60_000
/** Nothing came: asking costs the whole time-out. */
const SILENT_MS = 15 * 60_000
/** TLS that fails is repaired by people; a handshake that broke off may have been the network's doing. */
const BROKEN_TLS_MS = 3 * 24 * 3600_000
const BROKEN_OFF_MS = 6 * 3600_000
const MAX_KEPT = 10_000
/** Some kilobytes each. */
const MAX_SESSIONS = 1000
const SESSION_MS = 3600_000

export class HostMemory {
  readonly #now: () => number
  readonly #dead = new Map<string, number>()
  readonly #brokenTls = new Map<string, number>()
  readonly #sessions = new Map<string, KeptSession & { readonly untilMs: number }>()

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

  /** TLS with this host failed, and clear text worked. @param passing it may work the next time */
  tlsFailed(host: string, passing: boolean): void {
    keep(this.#brokenTls, host.toLowerCase(), this.#now() + (passing ? BROKEN_OFF_MS : BROKEN_TLS_MS))
  }

  hasBrokenTls(host: string): boolean {
    return this.#now() < (this.#brokenTls.get(host.toLowerCase()) ?? 0)
  }

  /**
   * TLS sessions with a peer, the last one. What is resumed is not verified again, so `key` says what was verified: one that
   * began with whoever was there must never go on as one with a host that has a name.
   */
  sessions(key: string): TlsSessions {
    return {
      last: () => {
        const kept = this.#sessions.get(key)
        return kept === undefined || this.#now() >= kept.untilMs ? undefined : kept
      },
      keep: kept => {
        // From the first handshake on, however often it is resumed: certificates end, and are revoked.
        const since = kept.facts.resumed ? this.#sessions.get(key)?.untilMs : undefined
        this.#sessions.delete(key)
        this.#sessions.set(key, { ...kept, untilMs: since ?? this.#now() + SESSION_MS })
        const [oldest] = this.#sessions.keys()
        if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest)
      },
    }
  }
}

function keep(map: Map<string, number>, key: string, untilMs: number): void {
  map.delete(key)
  map.set(key, untilMs)
  const [oldest] = map.keys()
  if (map.size > MAX_KEPT && oldest !== undefined) map.delete(oldest)
}
