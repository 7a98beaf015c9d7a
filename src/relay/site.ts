/**
 * A destination as the relay sees it over time: how many jobs are on their way to it, and connections that are open and
 * idle. A connection is used again only for the destination it was opened for, and under the policy it was opened under.
 */

import type { Connection } from '../net/connection.ts'
import { roomFor } from '../net/transaction.ts'
import type { TlsPolicy } from './tls-policy.ts'

/** A connection that is kept, with who is at the other end. */
export interface Link {
  readonly connection: Connection
  /** `host [address]` */
  readonly remote: string
  readonly policy: TlsPolicy
  /** Whether REQUIRETLS is said here, for messages that ask for it. */
  readonly requireTls: boolean
  messages: number
  readonly openedMs: number
}

const IDLE_MS = 5000
const MESSAGES_PER_CONNECTION = 100
const CONNECTION_AGE_MS = 300_000

export class Sites {
  readonly #sites = new Map<string, { jobs: number; idle: { link: Link; timer: NodeJS.Timeout }[] }>()
  readonly #limit: number

  /** @param limit jobs at a time to one destination */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many more jobs the destination may have at this moment. */
  room(destination: string): number {
    return this.#limit - (this.#sites.get(destination)?.jobs ?? 0)
  }

  enter(destination: string): void {
    this.#site(destination).jobs++
  }

  leave(destination: string): void {
    this.#site(destination).jobs--
    this.#forgetIfEmpty(destination)
  }

  /** An open connection to the destination under that policy, the one used last. */
  take(destination: string, policy: TlsPolicy): Link | undefined {
    const idle = this.#sites.get(destination)?.idle
    const at = idle?.findLastIndex(({ link }) => link.policy.level === policy.level) ?? -1
    const [kept] = at < 0 ? [] : (idle?.splice(at, 1) ?? [])
    if (kept === undefined) return undefined
    clearTimeout(kept.timer)
    return kept.link
  }

  /** Gives a connection back: it is kept for the next job, or closed when it has done enough. */
  give(destination: string, link: Link, nowMs: number): void {
    const spent = link.messages >= MESSAGES_PER_CONNECTION || nowMs - link.openedMs >= CONNECTION_AGE_MS
    if (!link.connection.usable || spent || roomFor(link.connection).transactions <= 0) {
      link.connection.quit()
      return
    }
    const { idle } = this.#site(destination)
    const timer = setTimeout(() => {
      idle.splice(
        idle.findIndex(kept => kept.link === link),
        1,
      )
      link.connection.quit()
      this.#forgetIfEmpty(destination)
    }, IDLE_MS)
    idle.push({ link, timer })
  }

  close(): void {
    for (const { idle } of this.#sites.values()) {
      for (const { link, timer } of idle.splice(0)) {
        clearTimeout(timer)
        link.connection.quit()
      }
    }
  }

  #site(destination: string) {
    let site = this.#sites.get(destination)
    if (site === undefined) {
      site = { jobs: 0, idle: [] }
      this.#sites.set(destination, site)
    }
    return site
  }

  #forgetIfEmpty(destination: string): void {
    const site = this.#sites.get(destination)
    if (site !== undefined && site.jobs === 0 && site.idle.length === 0) this.#sites.delete(destination)
  }
}
