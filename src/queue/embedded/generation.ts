/**
 * The database file of a spool, and how it is written anew. LMDB uses freed pages again and never gives them back: after an
 * outage the file stays as large as it was. So its contents are copied into the next generation, and the file is removed.
 *
 *   queue.mdb         the first generation
 *   queue-N.mdb       the Nth; the highest there is counts, and any other is to be removed
 *   queue-N.mdb.part  being written
 *
 * A generation gets its name while the one before is locked for writing and is as it was copied. Whoever has that one open,
 * as `ptt queue` may, asks before each change, under the same lock, whether it is the latest still (`isLatest`).
 */

import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { step } from './step.ts'

const NAME = /^queue(?:-([1-9]\d{0,14}))?\.mdb$/
/** What a copy may take: changes wait for it, at some hundred megabytes a second. */
const MOST_COPIED_OCTETS = 512 * 1024 * 1024
/** Of a file the part that must be free for it to be copied. */
const WORTH = 0.75

interface PageCounts {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

interface RootStats extends PageCounts {
  readonly lastPageNumber: number
  readonly lastTxnId: number
  readonly free: PageCounts
}

export function databaseFile(folder: string, generation: number): string {
  return join(folder, generation === 1 ? 'queue.mdb' : `queue-${generation}.mdb`)
}

/** From 1; 0: there is none, or no folder. */
export function latestGeneration(folder: string): number {
  return Math.max(0, ...generations(folder))
}

/** Whether there is no later one. Where this one is gone too, somebody has moved the spool away: then it is the last. */
export function isLatest(folder: string, generation: number): boolean {
  if (existsSync(databaseFile(folder, generation + 1))) return false
  return existsSync(databaseFile(folder, generation)) || latestGeneration(folder) < generation
}

/** Those before, which nobody needs. One that cannot be removed stays until the next time. */
export function removeEarlier(folder: string, generation: number): void {
  for (const earlier of generations(folder)) {
    if (earlier >= generation) continue
    try {
      step('space remove')
      remove(databaseFile(folder, earlier))
    } catch {
      // As said.
    }
  }
}

function remove(file: string): void {
  for (const path of [file, `${file}-lock`]) rmSync(path, { force: true })
}

/** In octets: how large the file is, and how much of it is in use. */
export function sizesOf(root: RootDatabase, tables: Iterable<{ getStats(): object }>) {
  const stats = root.getStats() as RootStats
  const { pageSize, lastPageNumber, free } = stats
  let used = pagesOf(stats) + pagesOf(free)
  for (const table of tables) used += pagesOf(table.getStats() as PageCounts)
  return { fileOctets: (lastPageNumber + 1) * pageSize, usedOctets: used * pageSize }
}

export function isWorthCopying(
  { fileOctets, usedOctets }: { readonly fileOctets: number; readonly usedOctets: number },
  aboveOctets: number,
): boolean {
  return (
    fileOctets > aboveOctets && usedOctets <= MOST_COPIED_OCTETS && usedOctets <= fileOctets * (1 - WORTH)
  )
}

/**
 * Makes the next generation. Nobody of this process changes anything meanwhile. A crash before the rename leaves a part that
 * nobody looks at; after it, the next generation, which is the same as this one. Returns false when another process has
 * changed something in between: then all is as it was.
 */
export async function copyToNext(root: RootDatabase, folder: string, generation: number): Promise<boolean> {
  const next = databaseFile(folder, generation + 1)
  const part = `${next}.part`
  const changes = () => (root.getStats() as RootStats).lastTxnId
  try {
    rmSync(part, { force: true })
    step('space copy')
    const before = changes()
    await root.backup(part, true)
    chmodSync(part, 0o600)
    sync(part)
    let renamed = false
    let failure: unknown = null
    root.transactionSync(() => {
      try {
        if (changes() !== before || !existsSync(databaseFile(folder, generation))) return
        step('space rename')
        renameSync(part, next)
        try {
          step('space folder sync')
          sync(folder)
        } catch (error) {
          // After a power cut there might be either: so there is only this one.
          unlinkSync(next)
          throw error
        }
        renamed = true
      } catch (error) {
        failure = error
      }
    })
    if (failure !== null) throw failure
    return renamed
  } finally {
    rmSync(part, { force: true })
  }
}

function generations(folder: string): number[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return names.flatMap(name => {
    const match = NAME.exec(name)
    return match ? Number(match[1] ?? 1) : []
  })
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: PageCounts): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
