/**
 * The counts of all users and domains in a folder of their own, LMDB: transactions that several processes of a machine
 * make one after the other, durable when they resolve. What may be spent is decided within one, so that two messages
 * never take the same last place.
 *
 * What is wrong with the folder is an error of each use; the next use tries again. A file that is something else or was
 * cut off is found out before the library sees it; octets that a bad disk has changed within its pages are not, and it
 * may end the process.
 */

import { randomBytes } from 'node:crypto'
import { chmod, mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { checkDatabase } from './database-file.ts'
import type { RecipientTables } from './recipients.ts'
import type { Usage } from './window.ts'

/** Of the folder `[submission] state`. */
export function usageFile(folder: string): string {
  return join(folder, 'usage.mdb')
}

/** What a new database needs, with some room to work in. */
const NEW_OCTETS = 1024 * 1024
/** Address space, not memory and not disk. */
const MAP_OCTETS = 2 ** 36
const SECRET_OCTETS = 32

export interface UsageTables extends RecipientTables {
  readonly root: RootDatabase
  /** `alice@example.com`, or `@example.com` for all users of the domain. */
  readonly usage: Database<Usage, string>
  /** Of the digests. */
  readonly secret: Buffer
}

/** The folder cannot be used: what was to be written is not there. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface Step {
  readonly work: (tables: UsageTables) => void
  readonly reject: (error: UsageError) => void
  readonly resolve: () => void
}

export class UsageStore {
  readonly #folder: string
  readonly #waiting: Step[] = []
  #tables: UsageTables | null = null
  #opening: Promise<UsageTables> | null = null
  #writing: Promise<void> | null = null

  /** Nothing is opened before it is used. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** What all processes have written until now. @throws UsageError */
  async read<T>(work: (tables: UsageTables) => T): Promise<T> {
    try {
      const tables = await this.#open()
      tables.root.resetReadTxn()
      return work(tables)
    } catch (cause) {
      throw usageError(cause)
    }
  }

  /** In one transaction, durable when this resolves. @throws UsageError */
  commit<T>(work: (tables: UsageTables) => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let end = () => {}
    const run = (tables: UsageTables) => {
      const value = work(tables)
      end = () => resolve(value)
    }
    this.#waiting.push({ work: run, reject, resolve: () => end() })
    this.#writing ??= this.#write()
    return promise
  }

  /** What was begun is written first. */
  async close(): Promise<void> {
    await this.#writing
    await this.#opening?.catch(() => {})
    await this.#tables?.root.close()
    this.#tables = null
  }

  /** One transaction after the other, each with all that waits when it begins. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const steps: Step[] = []
      try {
        const tables = await this.#open()
        await tables.root.transaction(() => {
          steps.push(...this.#waiting.splice(0))
          for (const { work } of steps) work(tables)
        })
        for (const { resolve } of steps) resolve()
      } catch (error) {
        const reason = usageError(await causeOf(error))
        for (const { reject } of [...steps, ...this.#waiting.splice(0)]) reject(reason)
        await this.#recover()
      }
    }
    this.#writing = null
  }

  async #open(): Promise<UsageTables> {
    if (this.#tables !== null) return this.#tables
    this.#opening ??= openTables(this.#folder).finally(() => {
      this.#opening = null
    })
    this.#tables = await this.#opening
    return this.#tables
  }

  /** After a failed commit LMDB may refuse every further one: then the file is opened anew. */
  async #recover(): Promise<void> {
    const tables = this.#tables
    if (tables === null) return
    try {
      tables.root.transactionSync(() => {})
    } catch {
      this.#tables = null
      await tables.root.close().catch(() => {})
    }
  }
}

/** Another process may be making the file, or writing to it, at this moment: what is damaged a moment later too is damaged. */
async function checkUnlessInTheMaking(path: string): Promise<'new' | 'whole'> {
  for (let looks = 1; ; looks++) {
    try {
      return await checkDatabase(path)
    } catch (error) {
      if (looks === LOOKS) throw error
      await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  }
}

const LOOKS = 10
const LOOK_AGAIN_MS = 20

async function openTables(folder: string): Promise<UsageTables> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = usageFile(folder)
  // The library ends the process where it cannot make or read a file: that is found out before.
  if ((await checkUnlessInTheMaking(path)) === 'new') {
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize < NEW_OCTETS) throw new UsageError(`no space left in ${folder}`)
  }
  const root = open({
    path,
    noSubdir: true,
    // A commit is visible when it is durable, and not before; and a failed one is told (see queue/embedded/store.ts).
    overlappingSync: false,
    eventTurnBatching: false,
    mapSize: MAP_OCTETS,
    encoding: 'binary',
  })
  await Promise.all([chmod(path, 0o600), chmod(`${path}-lock`, 0o600)])
  // Of processes that were killed: they would keep what is free from being used again.
  root.readerCheck()
  const marks: RecipientTables['marks'] = root.openDB('marks', { encoding: 'binary' })
  return {
    root,
    marks,
    usage: root.openDB('usage', { encoding: 'json' }),
    recipients: root.openDB('recipients', { encoding: 'binary', keyEncoding: 'binary' }),
    known: root.openDB('known', { encoding: 'json', keyEncoding: 'binary' }),
    secret: await secretOf(root, marks),
  }
}

/** Whoever comes first makes it. */
async function secretOf(root: RootDatabase, marks: RecipientTables['marks']): Promise<Buffer> {
  return root.transaction(() => {
    const there = marks.get('secret')
    if (there !== undefined) return Buffer.from(there)
    const secret = randomBytes(SECRET_OCTETS)
    marks.put('secret', secret)
    return secret
  })
}

function usageError(cause: unknown): UsageError {
  if (cause instanceof UsageError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new UsageError(`what users have used up cannot be read or written: ${reason}`, { cause })
}

/** The library rejects a failed commit with a promise of the reason. */
async function causeOf(error: unknown): Promise<unknown> {
  const reason = error instanceof Error && 'commitError' in error ? error.commitError : undefined
  if (!(reason instanceof Promise)) return error
  return reason.then(
    () => error,
    cause => cause,
  )
}
