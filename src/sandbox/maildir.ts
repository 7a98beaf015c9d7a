/**
 * A Maildir: a message is written under `tmp` and renamed into `new`, so that a reader never sees half of one. Nobody
 * moves them to `cur` here. Octets are kept as they came, CRLF line ends included: a DKIM verifier can read the file.
 */

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

export class Maildir {
  readonly path: string
  #delivered = 0

  constructor(path: string) {
    this.path = path
    for (const folder of ['tmp', 'new', 'cur']) mkdirSync(join(path, folder), { recursive: true })
  }

  /** The path of the stored file. It survives the end of this process, not a power cut: this is a pretend Internet. */
  async deliver(pieces: readonly Uint8Array[], nowMs: number): Promise<string> {
    const name = uniqueName(nowMs, this.#delivered++)
    const temporary = join(this.path, 'tmp', name)
    const file = await open(temporary, 'wx', 0o600)
    try {
      // Not writev, which may write a part.
      await file.writeFile(pieces)
    } finally {
      await file.close()
    }
    const stored = join(this.path, 'new', name)
    await rename(temporary, stored)
    return stored
  }
}

/** `<seconds>.M<microseconds>P<process>Q<count>.<host>`: unique, and sorts by time of arrival within one second too. */
function uniqueName(nowMs: number, count: number): string {
  const seconds = Math.floor(nowMs / 1000)
  const microseconds = String((nowMs % 1000) * 1000).padStart(6, '0')
  // "/" and ":" have a meaning in a Maildir.
  const host = hostname().replace(/[^A-Za-z0-9.-]/g, '-')
  return `${seconds}.M${microseconds}P${process.pid}Q${String(count).padStart(8, '0')}.${host}`
}

export interface StoredMessage {
  readonly path: string
  readonly octets: Buffer
}

/** Everything in `new`, in the order of arrival; none when there is no such Maildir yet. */
export function readMaildir(path: string): StoredMessage[] {
  let names: string[]
  try {
    names = readdirSync(join(path, 'new')).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return names.map(name => {
    const stored = join(path, 'new', name)
    return { path: stored, octets: readFileSync(stored) }
  })
}
