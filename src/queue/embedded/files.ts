/** The file operations the spool needs, as an interface: a test can have each of them fail. */

import { mkdir, open, opendir, rename, statfs, unlink } from 'node:fs/promises'
import type { Content } from '../queue.ts'

export interface Files {
  /** With the folders above it, mode 0700. Resolves to the first folder made, `undefined` when all were there. */
  makeFolder(path: string): Promise<string | undefined>
  /** A new file, mode 0600; rejects when there is one. */
  create(path: string): Promise<NewFile>
  rename(path: string, newPath: string): Promise<void>
  /** A name made or changed in the folder survives a power cut only after this. */
  syncFolder(path: string): Promise<void>
  open(path: string): Promise<OldFile>
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

export interface OldFile {
  sizeOctets(): Promise<number>
  /** Fills `target` with what is there from `at` on; rejects where that is less. */
  read(target: Uint8Array, at: number): Promise<void>
  close(): Promise<void>
}

/** Pieces of 16 KiB, as TLS gives them: a megabyte. The kernel takes 1,024 pieces in one call. */
const AT_ONCE = 64

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

export const disk: Files = {
  makeFolder: path => mkdir(path, { recursive: true, mode: 0o700 }),

  async create(path) {
    const handle = await open(path, 'wx', 0o600)
    return {
      async write(content) {
        for (let first = 0; first < content.length; first += AT_ONCE) {
          let left = content.slice(first, first + AT_ONCE)
          // A write may be short.
          while (left.length > 0) left = behind(left, (await handle.writev(left)).bytesWritten)
        }
      },
      sync: () => handle.sync(),
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

  remove: unlink,

  async *names(path) {
    for await (const { name } of await opendir(path)) yield name
  },

  async freeOctets(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
}
