/**
 * The engine that needs nothing installed: LMDB, ordered keys and batched durable commits, in one folder.
 *
 *   queue.mdb, queue.mdb-lock    messages, recipients, what is due, and contents up to 64 KiB; or `queue-N.mdb`, once it was
 *                                written anew (`generation.ts`)
 *   journal-NONCE                small mail that has just come, and is not in the database yet (`arrivals.ts`)
 *   content/ID-nonce             larger contents
 *
 * A message is one record and a part per destination, so that an outcome rewrites what concerns its destination only.
 */

import { dirname, join, resolve } from 'node:path'
import { silent } from '../../observe/event.ts'
import { type Queue, QueueError } from '../queue.ts'
import { ContentFolder } from './content.ts'
import { EmbeddedQueue, type EmbeddedQueueOptions } from './embedded-queue.ts'
import { queueError } from './failure.ts'
import { disk, type Files } from './files.ts'
import { checkFormat, isCurrent, writeFormat } from './format.ts'
import { latestGeneration } from './generation.ts'
import type { MappedLimit } from './mapped.ts'
import { Store } from './store.ts'

export interface EmbeddedOptions extends Omit<EmbeddedQueueOptions, 'files'> {
  /** The spool; made, mode 0700, when it is not there. */
  readonly folder: string
  /** How much of the database may be mapped into memory before it is unmapped. */
  readonly mapped?: MappedLimit
  readonly files?: Files
}

/** Whether there is a spool in the folder, for those who want to look at one and not make it. */
export function hasSpool(folder: string): boolean {
  return latestGeneration(folder) > 0
}

/** @throws QueueError when the spool cannot be made or opened. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Queue> {
  const { files = disk, log = silent } = options
  const folder = resolve(options.folder)
  const contents = join(folder, 'content')
  try {
    const made = await files.makeFolder(contents)
    const store = await Store.open(folder, files, log, options.mapped)
    await useFormat(store)
    // The names of what was made are durable before any message depends on them.
    await files.syncFolder(folder)
    if (made !== undefined) {
      for (let path = folder; path.length >= made.length; path = dirname(path)) {
        await files.syncFolder(dirname(path))
      }
    }
    return new EmbeddedQueue(store, new ContentFolder(contents, files), { ...options, folder, files })
  } catch (error) {
    const { code, message } = await queueError(error, () => files.freeOctets(folder))
    throw new QueueError(code, `${folder}: ${message}`, error)
  }
}

/** A spool of before is of our format from now on; where that cannot be written, it is when it is opened next. */
async function useFormat(store: Store): Promise<void> {
  try {
    if (isCurrent(checkFormat(store.read()))) return
  } catch (error) {
    await store.close()
    throw error
  }
  await store.commit(writeFormat).catch(() => {})
}
