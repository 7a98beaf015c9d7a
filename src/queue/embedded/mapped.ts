/**
 * How much of the spool's file is mapped into our memory. LMDB reads by mapping: what was looked at counts as memory of the
 * process, with some neighbours that the system maps along, until it is unmapped, or the system needs the room. A relay
 * that has gone through a million messages would seem to need gigabytes.
 */

import { closeSync, openSync, readFileSync } from 'node:fs'

export interface MappedLimit {
  /** The file is unmapped when more than this is mapped, of all files of the process: programs have some 60 MiB of it. */
  readonly octets: number
  /** How often that is asked at most. */
  readonly everyMs: number
}

export const MAPPED_LIMIT: MappedLimit = { octets: 128 * 1024 * 1024, everyMs: 25 }

/** LMDB has three: of the file, of the same for meta pages, of the lock. */
const DESCRIPTORS = 4
/** Where there is nothing to be gained by unmapping, for others have mapped so much, it is not done all the time. */
const LEAST_GAIN_OCTETS = 32 * 1024 * 1024

export class Mapped {
  readonly #limit: MappedLimit
  #most: number
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(limit: MappedLimit) {
    this.#limit = limit
    this.#most = limit.octets
  }

  isTooMuch(nowMs: number): boolean {
    if (nowMs - this.#lookedMs < this.#limit.everyMs) return false
    this.#lookedMs = nowMs
    return mappedOctets() > this.#most && hasDescriptors()
  }

  /** The file was unmapped. */
  reset(): void {
    if (this.#limit.octets > 0) this.#most = Math.max(this.#limit.octets, mappedOctets() + LEAST_GAIN_OCTETS)
  }
}

/** What is closed must be opened again: not where there are hardly any descriptors left. */
function hasDescriptors(): boolean {
  const opened: number[] = []
  try {
    while (opened.length < DESCRIPTORS) opened.push(openSync('/dev/null', 'r'))
    return true
  } catch {
    return false
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}

/** Files, and those of a tmpfs, which the system calls shared memory. 0 where it does not tell. */
export function mappedOctets(): number {
  try {
    const status = readFileSync('/proc/self/status', 'latin1')
    const kibibytes = [...status.matchAll(/^Rss(?:File|Shmem):\s+(\d+) kB$/gm)].map(([, number]) =>
      Number(number),
    )
    return kibibytes.reduce((sum, number) => sum + number, 0) * 1024
  } catch {
    return 0
  }
}
