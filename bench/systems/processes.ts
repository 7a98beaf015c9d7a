/**
 * What the processes of a system cost: CPU time of those that are there and of those that have ended, and memory. They are in a
 * control group of their own (cgroups(7), version 2) where one can be made. Elsewhere it is what proc(5) says of the tree, in
 * which children nobody waits for are missing: Exim's are such, so its CPU time is not known there.
 */

import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** CLK_TCK: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export class Processes {
  readonly #group: string | null
  readonly #roots: number[] = []

  constructor(name: string) {
    this.#group = makeGroup(`ptt-bench-${process.pid}-${name}`)
  }

  /** Whether all is counted, whoever ends how. */
  get isGroup(): boolean {
    return this.#group !== null
  }

  /** The command that runs `command` as one of them. */
  wrap(command: readonly string[]): [program: string, ...args: string[]] {
    const [program = '', ...args] = command
    if (this.#group === null) return [program, ...args]
    return ['sh', '-c', `echo $$ > '${join(this.#group, 'cgroup.procs')}' && exec "$0" "$@"`, ...command]
  }

  /** `pid` and whatever it starts is one of them. */
  add(pid: number): void {
    this.#roots.push(pid)
  }

  /** User and system time so far. */
  cpuSeconds(): number {
    if (this.#group === null) return treeOf(this.#roots).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
    const usage = /^usage_usec (\d+)$/m.exec(readFileSync(join(this.#group, 'cpu.stat'), 'utf8'))
    return Number(usage?.[1]) / 1e6
  }

  /** Octets now: proportional set sizes, so that what processes share counts once. */
  sharedOctets(): number {
    return this.#pids().reduce((sum, pid) => sum + octetsOf(pid, 'smaps_rollup', 'Pss'), 0)
  }

  /** Octets now: resident set sizes, what is shared counted in each. */
  residentOctets(): number {
    return this.#pids().reduce((sum, pid) => sum + octetsOf(pid, 'status', 'VmRSS'), 0)
  }

  /** When all have ended. */
  async close(): Promise<void> {
    // The kernel takes a moment to notice that the last one has gone.
    for (let attempt = 0; this.#group !== null && attempt < 100; attempt++) {
      try {
        rmdirSync(this.#group)
        return
      } catch {
        await pause(20)
      }
    }
  }

  #pids(): number[] {
    if (this.#group === null) return treeOf(this.#roots).map(({ pid }) => pid)
    const text = readFileSync(join(this.#group, 'cgroup.procs'), 'utf8')
    return text.split('\n').filter(Boolean).map(Number)
  }
}

/** Looks now and then, and remembers the most. */
export class PeakMemory {
  readonly #processes: Processes
  readonly #timer: NodeJS.Timeout
  #octets = 0

  constructor(processes: Processes) {
    this.#processes = processes
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
    this.#octets = Math.max(this.#octets, this.#processes.sharedOctets())
  }
}

function makeGroup(name: string): string | null {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n')
  const place = mounts.map(line => line.split(' ')).find(([, , type]) => type === 'cgroup2')?.[1]
  if (place === undefined) return null
  const group = join(place, name)
  try {
    mkdirSync(group)
    readFileSync(join(group, 'cpu.stat'))
    return group
  } catch {
    return null
  }
}

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Of the process, and of its ended children, theirs included. */
  readonly cpuSeconds: number
}

/** `pids` and all their descendants. */
function treeOf(pids: readonly number[]): Stat[] {
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
