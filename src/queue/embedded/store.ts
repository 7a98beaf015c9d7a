/**
 * The LMDB environment of a spool: its databases and its transactions.
 *
 * Durability. The environment is opened without `overlappingSync`, `noSync` and `noMetaSync`: a commit writes its pages,
 * waits for fdatasync, then writes the meta page through a descriptor opened with O_DSYNC, and only then resolves. (With
 * `overlappingSync`, the library's default, a commit is visible before it is durable, and its `flushed` promise stays
 * pending for ever when fdatasync fails; the throughput is the same, 35,000 puts of 4 KB a second at 64 in flight.)
 * What is queued while one commit waits for the disk goes into the next together: that is where the throughput is from.
 */

import { chmodSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { type Log, silent } from '../../observe/event.ts'
import { QueueError } from '../queue.ts'
import { queueError } from './failure.ts'
import type { Files } from './files.ts'
import {
  copyToNext,
  databaseFile,
  isLatest,
  isWorthCopying,
  latestGeneration,
  removeEarlier,
  sizesOf,
} from './generation.ts'
import { Group } from './group.ts'
import { MAPPED_LIMIT, Mapped, type MappedLimit } from './mapped.ts'
import { step } from './step.ts'
import { checkFile, openTables, type Tables } from './tables.ts'
import { Young } from './young.ts'

/** To read: whether another process has written the database anew is asked as often as this. */
const LOOK_MS = 1000

/** So long may what nobody waits for be on its way into the database. */
const LATER_MS = 100

/**
 * `now`: somebody waits for it. `soon`: nobody does, so that it may share the next transaction. `later`: the same, and it may
 * wait for one as long as `LATER_MS`.
 */
export type When = 'now' | 'soon' | 'later'

/** One `commit`, until the transaction it goes into is on the disk. */
interface Change {
  readonly when: When
  readonly sinceMs: number
  run(tables: Tables): void
  reject(error: unknown): void
  /** Tells what `run` or `reject` came to. */
  end(): void
}

/** Another process has written the database anew: what was to be changed is changed there. */
class Outdated extends Error {}

export class Store {
  readonly #folder: string
  readonly #files: Files
  readonly #log: Log
  readonly #waiting: Change[] = []
  readonly #group = new Group()
  readonly #young = new Young()
  #generation: number
  #tables: Tables
  #looked = 0
  readonly #mapped: Mapped
  readonly #closing: Promise<unknown>[] = []
  #writing: Promise<void> | null = null
  #closed = false

  private constructor(folder: string, files: Files, generation: number, log: Log, limit: MappedLimit) {
    this.#folder = folder
    this.#files = files
    this.#log = log
    this.#mapped = new Mapped(limit)
    this.#generation = generation
    this.#tables = openTables(databaseFile(folder, generation), this.#young)
  }

  get young(): Young {
    return this.#young
  }

  /** The folder is there. */
  static async open(folder: string, files: Files, log = silent, limit = MAPPED_LIMIT): Promise<Store> {
    const generation = Math.max(latestGeneration(folder), 1)
    const file = databaseFile(folder, generation)
    await checkFile(file, () => files.freeOctets(folder))
    const store = new Store(folder, files, generation, log, limit)
    await Promise.all([chmod(file, 0o600), chmod(`${file}-lock`, 0o600)])
    removeEarlier(folder, generation)
    return store
  }

  /** To read: what this and other processes have committed until now, as one snapshot until the next turn of the loop. */
  read(): Tables {
    this.#check()
    const now = performance.now()
    if (now - this.#looked > LOOK_MS) {
      this.#looked = now
      if (this.#writing === null && !isLatest(this.#folder, this.#generation)) this.#openLatest()
    }
    this.#tables.root.resetReadTxn()
    return this.#tables
  }

  /**
   * Runs `work` in a transaction: all it writes is durable when this resolves; when it throws or the commit fails,
   * nothing of it is there. `work` is synchronous, and may be run twice.
   */
  commit<T>(work: (tables: Tables) => T, when: When = 'now'): Promise<T> {
    this.#check()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let end = () => {}
    this.#waiting.push({
      when,
      sinceMs: performance.now(),
      run(tables) {
        const value = work(tables)
        end = () => resolve(value)
      },
      reject(error) {
        end = () => reject(error)
      },
      end: () => end(),
    })
    this.#writing ??= this.#write()
    this.#group.come(this.#patienceMs())
    return promise
  }

  #patienceMs(): number {
    const nowMs = performance.now()
    if (this.#closed) return 0
    if (this.#waiting.some(({ when }) => when !== 'later'))
      return this.#group.patienceMs(urgentOf(this.#waiting), nowMs)
    return Math.max((this.#waiting[0]?.sinceMs ?? 0) + LATER_MS - nowMs, 0)
  }

  /** Which part of the database's file is free, from 0 to 1: it is used again, also on a disk that is full. */
  get freePart(): number {
    const { root, texts: _, young: __, ...tables } = this.read()
    const { fileOctets, usedOctets } = sizesOf(root, Object.values(tables))
    return 1 - usedOctets / fileOctets
  }

  /**
   * Gives space back to the disk where the file is larger than `aboveOctets` and mostly free. Changes wait for it, some
   * seconds at most. Returns how many octets that were.
   */
  async compact(aboveOctets: number): Promise<number> {
    this.#check()
    while (this.#writing) await this.#writing
    this.#check()
    let given = 0
    const copying = this.#copy(aboveOctets).then(octets => {
      given = octets
    })
    this.#writing = copying.catch(() => {})
    await this.#writing
    removeEarlier(this.#folder, this.#generation)
    this.#writing = this.#waiting.length > 0 ? this.#write() : null
    try {
      await copying
    } catch (error) {
      throw await this.#failure(error)
    }
    return given
  }

  async #copy(aboveOctets: number): Promise<number> {
    const { root, texts: _, young: __, ...tables } = this.#tables
    root.resetReadTxn()
    const sizes = sizesOf(root, Object.values(tables))
    if (!isWorthCopying(sizes, aboveOctets)) return 0
    if (!(await copyToNext(root, this.#folder, this.#generation))) return 0
    this.#openLatest()
    return sizes.fileOctets - sizesOf(this.#tables.root, []).fileOctets
  }

  /** What the one before is closed for is of no interest to anybody: nothing of it is under way. */
  #openLatest(): void {
    const { root } = this.#tables
    this.#generation = Math.max(latestGeneration(this.#folder), 1)
    const file = databaseFile(this.#folder, this.#generation)
    this.#tables = openTables(file, this.#young)
    chmodSync(`${file}-lock`, 0o600)
    this.#closing.push(root.close())
  }

  /** What was begun is committed first. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#group.come(0)
    while (this.#writing) await this.#writing
    await Promise.all([...this.#closing, this.#tables.root.close()])
  }

  #check(): void {
    if (this.#closed) throw new QueueError('closed', 'the queue is closed')
  }

  /** One transaction after the other, each with all that waits when it begins. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#group.gather(() => this.#patienceMs())
      const tables = this.#tables
      const changes = this.#waiting.splice(0)
      try {
        step('commit begin')
        await tables.root.transaction(() => {
          if (!isLatest(this.#folder, this.#generation)) throw new Outdated()
          changes.push(...this.#waiting.splice(0))
          this.#group.begin(urgentOf(changes), performance.now())
          runAll(tables, changes)
          this.#log.flush()
        })
        this.#young.moved()
        step('commit done')
      } catch (error) {
        this.#young.undoMoves(0)
        if (error instanceof Outdated) {
          this.#openLatest()
          this.#waiting.unshift(...changes)
          continue
        }
        const reason = await this.#failure(await causeOf(error))
        for (const change of changes) change.reject(reason)
        await this.#recover()
      }
      for (const change of changes) change.end()
      if (this.#mapped.isTooMuch(performance.now())) await this.#unmap()
    }
    this.#writing = null
  }

  /** Opens the environment anew, some milliseconds. Between two transactions, and with nothing else in between. */
  async #unmap(): Promise<void> {
    // Whoever was told of his change goes on first. Then nobody is left who could read while it is closed: it is closed by
    // promises that are settled already, one after the other, before the loop's next turn.
    await new Promise(resolve => setImmediate(resolve))
    await this.#tables.root.close()
    this.#tables = openTables(databaseFile(this.#folder, this.#generation), this.#young)
    this.#mapped.reset()
  }

  #failure(cause: unknown): Promise<QueueError> {
    return queueError(cause, () => this.#files.freeOctets(this.#folder))
  }

  /**
   * After a failed commit. When the meta page itself could not be written LMDB refuses every further transaction of this
   * environment, and the library would wait for one for ever: so it is asked, and the environment is opened anew.
   */
  async #recover(): Promise<void> {
    try {
      this.#tables.root.transactionSync(() => {})
    } catch {
      await this.#tables.root.close()
      this.#tables = openTables(databaseFile(this.#folder, this.#generation), this.#young)
    }
  }
}

/**
 * A change that may end messages. On a disk that is full they go without a story, so that there is room again: `change` is run
 * with no stories at most.
 */
export async function endingWork<T>(
  store: Store,
  mostStories: number,
  change: (tables: Tables, mostStories: number) => T,
  when: When = 'now',
): Promise<T> {
  try {
    return await store.commit(tables => change(tables, mostStories), when)
  } catch (error) {
    if (!(error instanceof QueueError) || error.code !== 'full') throw error
    return store.commit(tables => change(tables, 0))
  }
}

const urgentOf = (changes: readonly Change[]): number =>
  changes.reduce((urgent, { when }) => urgent + Number(when === 'now'), 0)

/** Runs the changes in the open transaction. One that throws leaves nothing, and is no matter of the others. */
function runAll(tables: Tables, changes: readonly Change[]): void {
  let ran = false
  try {
    // Child transactions can be undone. One for all of them costs less than one each, and hardly ever does a change throw.
    tables.root.childTransaction(() => {
      for (const change of changes) change.run(tables)
      ran = true
      step('commit write')
    })
  } catch (error) {
    if (ran) throw error
    tables.young.undoMoves(0)
    for (const change of changes) {
      const { moving } = tables.young
      try {
        tables.root.childTransaction(() => change.run(tables))
      } catch (error) {
        tables.young.undoMoves(moving)
        change.reject(error)
      }
    }
  }
}

/** The library rejects every transaction of a failed commit with a promise of the reason. */
async function causeOf(error: unknown): Promise<unknown> {
  const reason = error instanceof Error && 'commitError' in error ? error.commitError : undefined
  if (!(reason instanceof Promise)) return error
  return reason.then(
    () => error,
    cause => cause,
  )
}
