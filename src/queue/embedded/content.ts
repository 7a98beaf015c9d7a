/**
 * Contents too large for the database, a file each in one folder. A file gets its name once it is whole and durable, and
 * an owner in the database after that: a crash leaves at worst a file nobody owns, for `sweep` to remove.
 */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Content, QueueError, type StoredContent } from '../queue.ts'
import { startOctets } from '../stored.ts'
import type { Files } from './files.ts'
import { step } from './step.ts'

/** `ID-nonce`, and `.part` while it is written. Anything else in the folder is not ours to remove. */
const NAME = /^([A-Za-z0-9_-]{1,64}-[0-9a-f]{12})(\.part)?$/
const NONCE_OCTETS = 6

export class ContentFolder {
  readonly #path: string
  readonly #files: Files
  readonly #syncFolder: () => Promise<void>
  /** Names being written, or written and not yet owned. */
  readonly #unowned = new Set<string>()

  constructor(path: string, files: Files) {
    this.#path = path
    this.#files = files
    this.#syncFolder = shared(async () => {
      step('content folder sync')
      await files.syncFolder(path)
    })
  }

  /**
   * Writes the content and has `own` make it someone's. When that rejects or says no, as when anything before it failed,
   * nothing is kept. The name is new each time: a message put twice never touches the file of the first.
   */
  async write(id: string, content: Content, own: (name: string) => Promise<boolean>): Promise<boolean> {
    const name = `${id}-${randomBytes(NONCE_OCTETS).toString('hex')}`
    const path = join(this.#path, name)
    const part = `${path}.part`
    this.#unowned.add(name)
    let owned = false
    try {
      step('content create')
      const file = await this.#files.create(part)
      try {
        step('content write')
        await file.write(content)
        step('content sync')
        await file.sync()
      } finally {
        await file.close()
      }
      step('content rename')
      await this.#files.rename(part, path)
      await this.#syncFolder()
      owned = await own(name)
      return owned
    } finally {
      if (!owned) await Promise.allSettled([this.#files.remove(part), this.#files.remove(path)])
      this.#unowned.delete(name)
    }
  }

  /** @throws QueueError `io` */
  async open(name: string, sizeOctets: number): Promise<StoredContent> {
    const unreadable = (error: unknown) => {
      if (error instanceof QueueError) throw error
      throw new QueueError('io', `content file ${name} cannot be read: ${String(error)}`, error)
    }
    const file = await this.#files.open(join(this.#path, name)).catch(unreadable)
    const read = (at: number, target: Uint8Array) => file.read(target, at).catch(unreadable)
    try {
      const hasOctets = await file.sizeOctets().catch(unreadable)
      if (hasOctets !== sizeOctets)
        throw new QueueError('io', `content file ${name} has ${hasOctets} octets, not ${sizeOctets}`)
      let start: Uint8Array = Buffer.alloc(0)
      for (let octets = startOctets(sizeOctets); start.length < octets; ) {
        const longer = Buffer.allocUnsafeSlow(octets)
        longer.set(start)
        await read(start.length, longer.subarray(start.length))
        start = longer
        octets = startOctets(sizeOctets, start)
      }
      return { sizeOctets, start, read, close: () => file.close() }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** After its owner is gone. A file that stays because this fails is swept later. */
  async remove(name: string): Promise<void> {
    try {
      step('content remove')
      await this.#files.remove(join(this.#path, name))
    } catch {
      // As said.
    }
  }

  /** Removes what nobody owns and returns how many that were. */
  async sweep(isOwned: (name: string) => boolean): Promise<number> {
    let removed = 0
    for await (const found of this.#files.names(this.#path)) {
      const [, name, part] = NAME.exec(found) ?? []
      if (name === undefined || this.#unowned.has(name) || (part === undefined && isOwned(name))) continue
      await this.#files.remove(join(this.#path, found)).then(
        () => removed++,
        error => {
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        },
      )
    }
    return removed
  }
}

/** The id in a content file's name. */
export function idOfName(name: string): string {
  return name.slice(0, -1 - 2 * NONCE_OCTETS)
}

/** Calls that come while a run is under way share the run after it. */
function shared(run: () => Promise<void>): () => Promise<void> {
  let running = Promise.resolve()
  let next: Promise<void> | null = null
  return () => {
    if (next) return next
    const begin = () => {
      next = null
      return run()
    }
    next = running.then(begin, begin)
    running = next
    return next
  }
}
