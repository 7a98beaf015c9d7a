/**
 * A disk of some megabytes for one process: a tmpfs in a mount namespace of its own (unshare(1)), which nobody else sees
 * and which is gone with the process. As root, or where users may have namespaces of their own.
 */

import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, run } from '../peers/program.ts'

/** What a process (`service-process.ts`) is started with to have such a disk at `folder`. */
export function withSmallDisk(folder: string, size: string): string[] {
  const script = `mkdir -p "$0" && mount -t tmpfs -o size=${size},mode=700 none "$0" && exec "$@"`
  return ['unshare', ...(isRoot ? [] : ['--user', '--map-root-user']), '--mount', 'sh', '-c', script, folder]
}

/** Why there can be no such disk here; `null`: there can. */
export async function whyNoSmallDisk(folder: string): Promise<string | null> {
  const [program = '', ...args] = [...withSmallDisk(folder, '64k'), 'true']
  const { code, output } = await run(program, args)
  return code === 0 ? null : output.trim()
}

/** The disk of a process, seen from outside. */
export class SmallDisk {
  readonly path: string
  readonly #filler: string

  constructor(pid: number, folder: string) {
    // proc(5): the same file system as the process sees it, mounts included.
    this.path = `/proc/${pid}/root${folder}`
    this.#filler = join(this.path, 'filler')
  }

  /** Not one octet more can be written. */
  fill(): void {
    const filler = openSync(this.#filler, 'w')
    try {
      for (const length of [65_536, 4096]) while (wrote(filler, Buffer.alloc(length))) {}
    } finally {
      closeSync(filler)
    }
  }

  empty(): void {
    rmSync(this.#filler)
  }
}

function wrote(file: number, octets: Buffer): boolean {
  try {
    return writeSync(file, octets) > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
