/** A spool whose queue leases, so that it keeps a journal, for the tests of that: also as a crash would leave it. */

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type EmbeddedOptions, openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { disk } from '../../src/queue/embedded/files.ts'
import { onStep } from '../../src/queue/embedded/step.ts'
import type { Queue } from '../../src/queue/queue.ts'

export const AT_ONE = ['a@one.example']

/** A spool whose queue leases; more of the same folder, or of a copy of it as a crash would leave it now. */
export async function openLeasing(t: TestContext, options: Partial<EmbeddedOptions> = {}) {
  const above = mkdtempSync(join(tmpdir(), 'ptt-queue-arrivals-'))
  const opened: Queue[] = []
  t.after(async () => {
    onStep(null)
    for (const queue of opened) await queue.close()
    rmSync(above, { recursive: true })
  })
  const folder = join(above, 'spool')
  const open = async (path: string, with_: Partial<EmbeddedOptions> = {}) => {
    const queue = await openEmbedded({ folder: path, ...options, ...with_ })
    opened.push(queue)
    return queue
  }
  const queue = await open(folder)
  assert.deepEqual(await queue.lease(1, 1), [])
  let copies = 0
  return {
    queue,
    folder,
    another: (with_: Partial<EmbeddedOptions> = {}) => open(folder, with_),
    async crashed(with_: Partial<EmbeddedOptions> = {}) {
      const copy = join(above, `copy-${copies++}`)
      cpSync(folder, copy, { recursive: true })
      return open(copy, { files: disk, ...with_ })
    },
    journals: () => readdirSync(folder).filter(name => name.startsWith('journal-')),
  }
}

/** How often the database is written, which is how often something waits for it. */
export function countCommits(): () => number {
  let commits = 0
  onStep(step => {
    if (step === 'commit begin') commits++
  })
  return () => commits
}

export function failing(...names: string[]): void {
  onStep(step => {
    if (names.includes(step)) throw Object.assign(new Error(`EIO: ${step}`), { code: 'EIO' })
  })
}

export const idsOf = async (queue: Queue) => (await queue.list({ limit: 100 })).map(({ id }) => id).join('')

export async function leased(queue: Queue, nowMs = 2000): Promise<string> {
  return (await queue.lease(nowMs, 100)).map(({ message }) => message.id).join('')
}
