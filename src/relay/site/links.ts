/**
 * The open connections of a site that wait for their next message. One is used again only for what it was opened for: the
 * same host, TLS policy and source address; whoever took it from the site made sure of the rest.
 */

import type { Connection } from '../../net/connection.ts'
import { roomFor } from '../../net/transaction.ts'
import type { Candidate } from '../reach/candidates.ts'
import type { Source } from '../reach/source.ts'
import type { TlsPolicy } from '../tls-policy.ts'
import type { Idle } from './idle.ts'
import type { Shape } from './shape.ts'

/** A connection that is kept, with who is at the other end. */
export interface Link {
  readonly connection: Connection
  readonly candidate: Candidate
  /** `host [address]` */
  readonly remote: string
  readonly policy: TlsPolicy
  readonly source: Source
  /** Whether REQUIRETLS is said here, for messages that ask for it. */
  readonly requireTls: boolean
  messages: number
  readonly openedMs: number
}

export class Links {
  readonly #idle: { readonly link: Link; readonly timer: NodeJS.Timeout }[] = []
  readonly #shape: Shape
  /** Those of other sites too. */
  readonly #idleOfAll: Idle

  readonly #changed: (count: number) => void
  /** So many more are kept by another process, which visits the site. */
  elsewhere = 0

  /** @param changed is told of each change of the count */
  constructor(shape: Shape, idle: Idle, changed: (count: number) => void = () => {}) {
    this.#shape = shape
    this.#idleOfAll = idle
    this.#changed = changed
  }

  get count(): number {
    return this.#idle.length + this.elsewhere
  }

  /** The one used last of those that `fits` agrees to; it is no longer kept here. */
  take(fits: (link: Link) => boolean): Link | undefined {
    const at = this.#idle.findLastIndex(({ link }) => link.connection.usable && fits(link))
    const [kept] = at < 0 ? [] : this.#idle.splice(at, 1)
    if (kept === undefined) return undefined
    clearTimeout(kept.timer)
    this.#idleOfAll.remove(kept.link)
    this.#changed(this.count)
    return kept.link
  }

  /** Gives a connection back: it is kept for the next job, or closed when it has done enough. */
  give(link: Link, nowMs: number): void {
    const { messagesPerConnection, connectionAgeMs, idleMs } = this.#shape
    const spent = link.messages >= messagesPerConnection || nowMs - link.openedMs >= connectionAgeMs
    if (!link.connection.usable || spent || roomFor(link.connection).transactions <= 0) {
      link.connection.quit()
      return
    }
    const timer = setTimeout(() => this.#drop(link), idleMs)
    this.#idle.push({ link, timer })
    this.#changed(this.count)
    this.#idleOfAll.add(link, () => this.#drop(link))
  }

  close(): void {
    for (const { link, timer } of this.#idle.splice(0)) {
      clearTimeout(timer)
      this.#idleOfAll.remove(link)
      link.connection.quit()
    }
    this.#changed(this.count)
  }

  #drop(link: Link): void {
    const at = this.#idle.findIndex(kept => kept.link === link)
    const [kept] = at < 0 ? [] : this.#idle.splice(at, 1)
    clearTimeout(kept?.timer)
    this.#idleOfAll.remove(link)
    this.#changed(this.count)
    link.connection.quit()
  }
}
