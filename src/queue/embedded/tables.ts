/** The databases of a spool in one LMDB environment, and opening them. */

import { open as openFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Database, type Key, open, type RootDatabase } from 'lmdb'
import { QueueError } from '../queue.ts'
import type { Young } from './young.ts'

/** A page header of 24 octets, then the magic number of a meta page, in the machine's order. */
const MAGIC_AT = 24
const MAGIC = [0xbeefc0de, 0xdec0efbe]
/** What a new database needs, with some room to work in. */
const NEW_OCTETS = 1024 * 1024
/** Address space, not memory and not disk: what the database may grow to without being mapped anew. */
const MAP_OCTETS = 2 ** 38

/** Some more than there are, for those of later formats. */
const MAX_TABLES = 24

type Table = Database<Buffer, Key>

export interface Tables {
  readonly root: RootDatabase
  /** id → MessageRecord. */
  readonly messages: Table
  /** The same as text: to read many of them, half the time is saved that copying their octets takes. */
  readonly texts: Database<string, Key>
  /** [id, destination] or [id, destination, part] → the recipients there. */
  readonly parts: Table
  /** id → content, when it is small. */
  readonly contents: Database<Uint8Array, Key>
  /** [destination, dueMs, unit] or [priority, destination, dueMs, unit], a part that has a pending recipient: `due.ts`. */
  readonly due: Table
  /** [dueMs, destination]: the first of `due` for each destination. */
  readonly heads: Table
  /** The same, of what was due as it arrived. */
  readonly fresh: Table
  readonly freshHeads: Table
  /** id, of those that are known by nothing else: `known.ts`. And [arrivedMs, id] to forget them by. */
  readonly seen: Table
  readonly seenAt: Table
  /** Holds, by kind and name; and [hold, id] of the messages that were taken out of the lines for one: `held.ts`. */
  readonly holds: Table
  readonly held: Table
  /** id → what is told of a message that is gone, and [endedMs, id] → arrivedMs to forget it by: `story.ts`. */
  readonly stories: Table
  readonly storiesAt: Table
  /** 'changes': see `message.ts`. 'format': see `format.ts`. 'forgotten': see `known.ts`. */
  readonly counters: Table
  /** What is in the journal only. */
  readonly young: Young
}

export function openTables(path: string, young: Young): Tables {
  const root = open({
    path,
    noSubdir: true,
    overlappingSync: false,
    mapSize: MAP_OCTETS,
    maxDbs: MAX_TABLES,
    encoding: 'binary',
    // Commits begin at once instead of at the end of the turn: those that wait for the disk are batched anyway.
    eventTurnBatching: false,
  })
  const table = (name: string): Table => root.openDB(name, { encoding: 'binary' })
  return {
    root,
    messages: table('messages'),
    texts: root.openDB<string>('messages', { encoding: 'string' }),
    parts: table('parts'),
    contents: root.openDB<Uint8Array>('contents', { encoding: 'binary' }),
    due: table('due'),
    heads: table('heads'),
    fresh: table('fresh'),
    freshHeads: table('freshHeads'),
    seen: table('seen'),
    seenAt: table('seenAt'),
    holds: table('holds'),
    held: table('held'),
    stories: table('stories'),
    storiesAt: table('storiesAt'),
    counters: table('counters'),
    young,
  }
}

/** The library crashes the process when it cannot open or make a database, so that is found out before. */
export async function checkFile(file: string, freeOctets: () => Promise<number>): Promise<void> {
  const header = Buffer.alloc(MAGIC_AT + 4)
  let length = 0
  try {
    const handle = await openFile(file, 'r')
    try {
      length = (await handle.read(header)).bytesRead
    } finally {
      await handle.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  if (length === 0 && (await freeOctets()) < NEW_OCTETS) {
    throw new QueueError('full', 'no space left to make a spool')
  }
  if (length > 0 && !MAGIC.includes(header.readUInt32LE(MAGIC_AT))) {
    throw new QueueError(
      'io',
      `${basename(file)} is damaged, or not a spool: move it away, or restore it from a backup`,
    )
  }
}
