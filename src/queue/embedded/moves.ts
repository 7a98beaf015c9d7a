/**
 * What is young comes into the database: once it has ended, when it has been young for a while, or when somebody wants to see all
 * there is. Then the journal has room again.
 */

import { absorb } from './absorb.ts'
import type { OwnJournal } from './journals.ts'
import { setCounter } from './message.ts'
import { endingWork, type Store, type When } from './store.ts'
import type { Tables } from './tables.ts'
import type { Young } from './young.ts'

/** From that on nothing is left in the journal any longer. */
const RATHER_FULL = 0.5
/** So often others are moved before what is still on its way: that is a second at most. */
const TIMES_LEFT = 8
const RETRY_MS = 1000

export interface MovesOptions {
  readonly store: Store
  readonly mostStories: number
}

export class Moves {
  readonly #store: Store
  readonly #young: Young
  readonly #mostStories: number
  readonly #onFailure: (error: unknown) => void
  #own: OwnJournal | null = null
  #moving: Promise<void> | null = null
  /** Where the journal ended as something was moved, the last `TIMES_LEFT` times. */
  #tails: number[] = []
  #failing = false

  /** `onFailure`: what could not be moved now is tried again. */
  constructor({ store, mostStories }: MovesOptions, onFailure: (error: unknown) => void) {
    this.#store = store
    this.#young = store.young
    this.#mostStories = mostStories
    this.#onFailure = onFailure
  }

  /** The database could not be written lately. */
  get failing(): boolean {
    return this.#failing
  }

  /** The journal that tells of all that is young; `null`: it is not written any more. */
  from(own: OwnJournal | null): void {
    this.#own = own
    this.#tails = []
  }

  /** Something is young, or has ended. */
  soon(): void {
    const own = this.#own
    if (own === null || this.#failing) return
    const full = own.journal.fill > RATHER_FULL
    this.#moving ??= this.#move(full ? 'soon' : 'later', full ? 'all' : 'old')
      .catch(error => this.#rest(error))
      .finally(() => {
        this.#moving = null
        if (this.#young.size > 0) this.soon()
      })
  }

  /** All of it, now, and the journal need not tell of it again. */
  async all(): Promise<void> {
    const fill = this.#own?.journal.fill ?? 0
    if (this.#young.size > 0 || fill > 0) await this.#move('now', 'all')
  }

  /** All of it, and nothing of that journal is needed any more. `also`: in the same transaction. */
  close(own: OwnJournal, also: (tables: Tables) => void): Promise<void> {
    return this.#commit((tables, mostStories) => {
      for (const { id } of tables.young.all()) this.moveIn(tables, id, mostStories)
      setCounter(tables, own.name, own.journal.tail)
      also(tables)
    }, 'now')
  }

  one(id: string): Promise<void> {
    return this.#commit((tables, mostStories) => this.moveIn(tables, id, mostStories), 'soon')
  }

  /** Within a transaction: what is young of that id is in the database. */
  moveIn(tables: Tables, id: string, mostStories = this.#mostStories): void {
    const message = tables.young.find(id)
    if (message === undefined || tables.young.isMoving(id)) return
    tables.young.moves(id)
    absorb(tables, message, mostStories)
  }

  #rest(error: unknown): void {
    this.#onFailure(error)
    this.#failing = true
    setTimeout(() => {
      this.#failing = false
      this.soon()
    }, RETRY_MS).unref()
  }

  /** What has ended, and of the others those that have been here for a while, or all. */
  async #move(when: When, which: 'old' | 'all'): Promise<void> {
    const own = this.#own
    const tail = own?.journal.tail ?? 0
    const [oldest = 0] = this.#tails.slice(-TIMES_LEFT, 1 - TIMES_LEFT)
    const at = await this.#commit((tables, mostStories) => {
      const { young } = tables
      let first = own?.journal.tail ?? 0
      for (const message of young.all()) {
        if (which === 'all' || 'end' in message || message.at < oldest)
          this.moveIn(tables, message.id, mostStories)
        if (!young.isMoving(message.id)) first = Math.min(first, message.at)
      }
      if (own) setCounter(tables, own.name, first)
      return first
    }, when)
    own?.journal.release(at)
    if (own === this.#own) this.#tails = [...this.#tails, tail].slice(-TIMES_LEFT)
  }

  #commit<T>(change: (tables: Tables, mostStories: number) => T, when: When): Promise<T> {
    return endingWork(this.#store, this.#mostStories, change, when)
  }
}
