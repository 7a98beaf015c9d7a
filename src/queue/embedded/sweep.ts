/**
 * What is done once in a while, while mail comes and goes: what others have left is taken over, what is old is forgotten, what
 * belongs to no message is removed, and space is given back.
 */

import type { Log } from '../../observe/event.ts'
import type { Arrivals } from './arrivals.ts'
import { type ContentFolder, idOfName } from './content.ts'
import { forgetIds } from './known.ts'
import { loadRecord } from './message.ts'
import type { Store } from './store.ts'
import { forgetStories } from './story.ts'
import type { Tables } from './tables.ts'

const DAY_MS = 24 * 3600_000
/** Forgotten in one transaction: others wait for it some milliseconds only. */
const FORGET_AT_ONCE = 1000
const COMPACT_ABOVE_OCTETS = 64 * 1024 * 1024

export interface SweepOptions {
  readonly retainIdsMs?: number
  readonly retainStoriesMs?: number
  /** From which size on a database that is mostly free is written anew. */
  readonly compactAboveOctets?: number
}

export class Sweep {
  readonly #store: Store
  readonly #contents: ContentFolder
  readonly #arrivals: Pick<Arrivals, 'mend' | 'mayForget'>
  readonly #log: Log
  readonly #retainIdsMs: number
  readonly #retainStoriesMs: number
  readonly #compactAboveOctets: number

  constructor(
    store: Store,
    contents: ContentFolder,
    arrivals: Pick<Arrivals, 'mend' | 'mayForget'>,
    log: Log,
    options: SweepOptions,
  ) {
    this.#store = store
    this.#contents = contents
    this.#arrivals = arrivals
    this.#log = log
    this.#retainIdsMs = options.retainIdsMs ?? DAY_MS
    this.#retainStoriesMs = options.retainStoriesMs ?? 2 * DAY_MS
    this.#compactAboveOctets = options.compactAboveOctets ?? COMPACT_ABOVE_OCTETS
  }

  /** @throws what the disk or the database throws: the rest is done next time */
  async run(nowMs: number): Promise<void> {
    await this.#arrivals.mend()
    if (await this.#arrivals.mayForget())
      await this.#forget(tables => forgetIds(tables, nowMs - this.#retainIdsMs, FORGET_AT_ONCE))
    await this.#forget(tables => forgetStories(tables, nowMs - this.#retainStoriesMs, FORGET_AT_ONCE))
    const orphans = await this.#contents.sweep(
      name => loadRecord(this.#store.read(), idOfName(name))?.file === name,
    )
    if (orphans > 0) this.#log.event('spool', { orphans_removed: orphans })
    const givenBack = await this.#store.compact(this.#compactAboveOctets)
    if (givenBack > 0) this.#log.event('spool', { octets_given_back: givenBack })
  }

  /** As much at a time as `some` does; the next after whatever else was waiting to be committed. */
  async #forget(some: (tables: Tables) => number): Promise<void> {
    while ((await this.#store.commit(some)) === FORGET_AT_ONCE);
  }
}
