/** The file operations the spool needs, as an interface: a test can have each of them fail. */

import { closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, opendir, rename, statfs, unlink } from 'node:fs/promises'
import type { Content } from '../queue.ts'

export interface Files {
  /** With the folders above it, mode 0700. Resolves to the first folder made, `undefined` when all were there. */
  makeFolder(path: string): Promise<string | undefined>
  /** A new file, mode 0600; rejects when there is one. */
  create(path: string): Promise<NewFile>
  /** A new file of so many octets, all of them zeros and on the disk, mode 0600; rejects when there is one. */
  createJournal(path: string, octets: number): Promise<JournalFile>
  rename(path: string, newPath: string): Promise<void>
  /** A name made or changed in the folder survives a power cut only after this. */
  syncFolder(path: string): Promise<void>
  open(path: string): Promise<OldFile>
  /** At once: so many of its octets from `at` on, fewer where it ends. One that is not there has none. */
  octetsOf(path: string, at: number, octets: number): Buffer
  /** At once; 0: there is no such file. */
  sizeOctets(path: string): number
  exists(path: string): boolean
  remove(path: string): Promise<void>
  names(path: string): AsyncIterable<string>
  /** Octets that may still be written where `path` is. */
  freeOctets(path: string): Promise<number>
}

export interface NewFile {
  write(content: Content): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** A write changes nothing of the file but its octets, so that the disk is waited for once. */
export interface JournalFile {
  /** Resolves when all of it is on the disk. */
  write(pieces: Content, at: number): Promise<void>
  close(): Promise<void>
}

export interface OldFile {
  sizeOctets(): Promise<number>
  /** Fills `target` with what is there from `at` on; rejects where that is less. */
  read(target: Uint8Array, at: number): Promise<void>
  close(): Promise<void>
}

/** Pieces of 16 KiB, as TLS gives them: a megabyte. The kernel takes 1,024 pieces in one call. */
const AT_ONCE = 64
const ZEROS_OCTETS = 1024 * 1024

/** What of `content` is behind its first `octets`. */
function behind(content: Content, octets: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let skip = octets
  for (const piece of content) {
    if (skip < piece.length) pieces.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.length)
  }
  return pieces
}

/** A write may be short. `at`: from there on; not given: where the last one ended. */
async function writeAll(file: FileHandle, pieces: Content, at?: number): Promise<void> {
  for (let left: Content = pieces, place = at; left.length > 0; ) {
    const { bytesWritten } = await file.writev(left, place)
    left = behind(left, bytesWritten)
    if (place !== undefined) place += bytesWritten
  }
}

export const disk: Files = {
  makeFolder: path => mkdir(path, { recursive: true, mode: 0o700 }),

  async create(path) {
    const handle = await open(path, 'wx', 0o600)
    return {
      async write(content) {
        for (let first = 0; first < content.length; first += AT_ONCE) {
          await writeAll(handle, content.slice(first, first + AT_ONCE))
        }
      },
      sync: () => handle.sync(),
      close: () => handle.close(),
    }
  },

  async createJournal(path, octets) {
    const empty = await open(path, 'wx', 0o600)
    try {
      const zeros = Buffer.alloc(ZEROS_OCTETS)
      for (let at = 0; at < octets; at += zeros.length)
        await writeAll(empty, [zeros.subarray(0, octets - at)], at)
      await empty.sync()
    } catch (error) {
      await unlink(path)
      throw error
    } finally {
      await empty.close()
    }
    const handle = await open(path, constants.O_WRONLY | constants.O_DSYNC)
    return {
      write: (pieces, at) => writeAll(handle, pieces, at),
      close: () => handle.close(),
    }
  },

  rename,

  async syncFolder(path) {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },

  async open(path) {
    const handle = await open(path, 'r')
    return {
      sizeOctets: async () => (await handle.stat()).size,
      async read(target, at) {
        // A read may be short.
        for (let done = 0; done < target.length; ) {
          const { bytesRead } = await handle.read(target, done, target.length - done, at + done)
          if (bytesRead === 0) throw new Error(`the file ends after ${at + done} octets`)
          done += bytesRead
        }
      },
      close: () => handle.close(),
    }
  },

  octetsOf(path, at, octets) {
    const target = Buffer.alloc(octets)
    let descriptor: number
    try {
      descriptor = openSync(path, 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return target.subarray(0, 0)
      throw error
    }
    try {
      let done = 0
      for (let read = -1; read !== 0 && done < octets; done += read)
        read = readSync(descriptor, target, done, octets - done, at + done)
      return target.subarray(0, done)
    } finally {
      closeSync(descriptor)
    }
  },

  sizeOctets: path => statSync(path, { throwIfNoEntry: false })?.size ?? 0,

  exists: existsSync,

  remove: unlink,

  async *names(path) {
    for await (const { name } of await opendir(path)) yield name
  },

  async freeOctets(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
}
