/**
 * The LMDB environment of a spool: its databases and its transactions.
 *
 * Durability. The environment is opened without `overlappingSync`, `noSync` and `noMetaSync`: a commit writes its pages,
 * waits for fdatasync, then writes the meta page through a descriptor opened with O_DSYNC, and only then resolves. (With
 * `overlappingSync`, the library's default, a commit is visible before it is durable, and its `flushed` promise stays
 * pending for ever when fdatasync fails; the throughput is the same, 35,000 puts of 4 KB a second at 64 in flight.)
 * What is queued while one commit waits for the disk goes into the next together: that is where the throughput is from.
 */

import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { type Database, type Key, open, type RootDatabase } from 'lmdb'
import { QueueError } from '../queue.ts'
import { queueError } from './failure.ts'
import type { Files } from './files.ts'

const FILE = 'queue.mdb'
/** Address space, not memory and not disk: what the database may grow to without being mapped anew. */
const MAP_OCTETS = 2 ** 38

type Table = Database<Uint8Array, Key>

export interface Tables {
  readonly root: RootDatabase
  /** id → MessageRecord. */
  readonly messages: Table
  /** [id, destination] → the recipients there. */
  readonly parts: Table
  /** id → content, when it is small. */
  readonly contents: Table
  /** [destination, dueMs, id], a part that has a pending recipient: see `due.ts`. */
  readonly due: Table
  /** [dueMs, destination]: the first of `due` for each destination. */
  readonly heads: Table
  /** id, of all messages that arrived in the last `retainIdsMs`, and [arrivedMs, id] to forget them by. */
  readonly seen: Table
  readonly seenAt: Table
}

export function spoolFile(folder: string): string {
  return join(folder, FILE)
}

export class Store {
  readonly #folder: string
  readonly #files: Files
  #tables: Tables | null
  #commits = new Set<Promise<unknown>>()
  #recovery: Promise<void> | null = null

  private constructor(folder: string, files: Files) {
    this.#folder = folder
    this.#files = files
    this.#tables = openTables(folder)
  }

  /** The folder is there. */
  static async open(folder: string, files: Files): Promise<Store> {
    const store = new Store(folder, files)
    const file = spoolFile(folder)
    await Promise.all([chmod(file, 0o600), chmod(`${file}-lock`, 0o600)])
    return store
  }

  /** To read: what this and other processes have committed until now, as one snapshot until the next turn of the loop. */
  read(): Tables {
    const tables = this.#open()
    tables.root.resetReadTxn()
    return tables
  }

  /**
   * Runs `work` in a transaction: all it writes is durable when this resolves; when it throws or the commit fails,
   * nothing of it is there. `work` is synchronous.
   */
  async commit<T>(work: (tables: Tables) => T): Promise<T> {
    if (this.#recovery) await this.#recovery
    const tables = this.#open()
    // A child transaction: what `work` wrote before it threw is undone, and its neighbours in the commit are not.
    const done = tables.root.childTransaction(() => work(tables))
    this.#commits.add(done)
    try {
      return await done
    } catch (error) {
      const cause = await causeOf(error)
      if (cause !== error) await this.#recover(tables)
      throw await queueError(cause, () => this.#files.freeOctets(this.#folder))
    } finally {
      this.#commits.delete(done)
    }
  }

  async close(): Promise<void> {
    const tables = this.#tables
    this.#tables = null
    await Promise.allSettled(this.#commits)
    await tables?.root.close()
  }

  #open(): Tables {
    if (!this.#tables) throw new QueueError('closed', 'the queue is closed')
    return this.#tables
  }

  /**
   * After a failed commit. When the meta page itself could not be written LMDB refuses every further transaction of this
   * environment, and the library would wait for one for ever: so it is asked, and the environment is opened anew.
   */
  #recover(failed: Tables): Promise<void> {
    this.#recovery ??= (async () => {
      if (this.#tables !== failed) return
      try {
        failed.root.transactionSync(() => {})
      } catch {
        await failed.root.close()
        this.#tables = openTables(this.#folder)
      }
    })().finally(() => {
      this.#recovery = null
    })
    return this.#recovery
  }
}

function openTables(folder: string): Tables {
  const root = open({
    path: spoolFile(folder),
    noSubdir: true,
    overlappingSync: false,
    mapSize: MAP_OCTETS,
    encoding: 'binary',
    // Commits begin at once instead of at the end of the turn: those that wait for the disk are batched anyway.
    eventTurnBatching: false,
  })
  const table = (name: string): Table => root.openDB(name, { encoding: 'binary' })
  return {
    root,
    messages: table('messages'),
    parts: table('parts'),
    contents: table('contents'),
    due: table('due'),
    heads: table('heads'),
    seen: table('seen'),
    seenAt: table('seenAt'),
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
