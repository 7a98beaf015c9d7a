/**
 * What the processes of a system cost, from proc(5): CPU time of those that are there and of those that have ended, and
 * memory. One that was orphaned counts as long as whoever adopts it is in the tree: see `peers/contained.ts`.
 */

import { readdirSync, readFileSync } from 'node:fs'

/** CLK_TCK: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Of the process, and of its ended children, theirs included. */
  readonly cpuSeconds: number
}

/** `pids` and all their descendants. */
export function treeOf(pids: readonly number[]): Stat[] {
  const children = new Map<number, Stat[]>()
  const found: Stat[] = []
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : null
    if (stat === null) continue
    if (pids.includes(stat.pid)) found.push(stat)
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), stat])
  }
  // It grows while it is walked.
  for (const { pid } of found) {
    for (const child of children.get(pid) ?? []) if (!found.includes(child)) found.push(child)
  }
  return found
}

/** User and system time of the tree so far, in seconds. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return treeOf(pids).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
}

/** Octets of the tree now: proportional set sizes, so that what processes share counts once. */
export function memoryOf(pids: readonly number[]): number {
  return treeOf(pids).reduce((sum, { pid }) => sum + octetsOf(pid, 'smaps_rollup', 'Pss'), 0)
}

/** Octets of the tree now: resident set sizes, what is shared counted in each. */
export function residentOf(pids: readonly number[]): number {
  return treeOf(pids).reduce((sum, { pid }) => sum + octetsOf(pid, 'status', 'VmRSS'), 0)
}

/** Looks now and then, and remembers the most. */
export class PeakMemory {
  readonly #pids: readonly number[]
  readonly #timer: NodeJS.Timeout
  #octets = 0

  constructor(pids: readonly number[]) {
    this.#pids = pids
    this.#timer = setInterval(() => this.#look(), 500)
  }

  /** The most so far. */
  get octets(): number {
    return this.#octets
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#look()
  }

  #look(): void {
    this.#octets = Math.max(this.#octets, memoryOf(this.#pids))
  }
}

/** Null: it has gone. */
function statOf(pid: number): Stat | null {
  const text = read(pid, 'stat')
  if (text === null) return null
  // The name before may have spaces and parentheses in it; field 3 is the first after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
  return { pid, parent: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND }
}

function octetsOf(pid: number, file: string, field: string): number {
  const text = read(pid, file)
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text ?? '')?.[1] ?? 0) * 1024
}

function read(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return null
  }
}
