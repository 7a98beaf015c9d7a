/**
 * `.ptt-sandbox/`: what lies where, who is at work in it, and `sandbox.json`, which tells other programs all they need.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeWhole } from '../config/whole-file.ts'

/** Told to the person at the terminal as it stands. */
export class SandboxError extends Error {}

/** `sandbox.json`. It is there from when everything answers; after the end it stays, with no `pids`. */
export interface SandboxFile {
  readonly submission: {
    readonly host: string
    readonly port: number
    readonly username: string
    readonly password: string
    /** The CA to trust. */
    readonly ca: string
  }
  readonly signer: Hop
  readonly relay: Hop
  readonly dns: {
    readonly host: string
    readonly port: number
    readonly zone: string
    readonly tsigKeyFile: string
  }
  /** The bare repository of users. */
  readonly git: string
  readonly internet: { readonly host: string; readonly port: number; readonly maildir: string }
  /** ptt.toml. */
  readonly config: string
  /** `sandbox` is the process with the DNS server and the Internet's MX, parent of the others. */
  readonly pids: Readonly<Record<string, number>>
}

export interface Hop {
  readonly host: string
  readonly port: number
  /** The name its certificate carries. */
  readonly name: string
  readonly ca: string
  /** What whoever speaks to it must show. */
  readonly certificate: string
  readonly key: string
}

export interface Paths {
  readonly folder: string
  readonly config: string
  readonly password: string
  readonly maildir: string
  readonly logs: string
  readonly file: string
  readonly readme: string
}

export function pathsOf(folder: string): Paths {
  return {
    folder,
    config: join(folder, 'ptt.toml'),
    password: join(folder, 'password'),
    maildir: join(folder, 'internet'),
    logs: join(folder, 'log'),
    file: join(folder, 'sandbox.json'),
    readme: join(folder, 'README'),
  }
}

/** Renamed into place: a reader sees the old file or the new one, whole. It holds a password. */
export function writeSandboxFile(path: string, sandbox: SandboxFile): void {
  writeWhole(path, `${JSON.stringify(sandbox, null, 2)}\n`)
}

/** The file that says whose the folder is. */
export const CLAIM = 'sandbox.pid'

/**
 * Makes the folder ours until the returned function is called. The claim of a sandbox that was killed is void.
 * @throws SandboxError when one is at work in it.
 */
export function claim(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, CLAIM)
  for (;;) {
    try {
      writeFileSync(path, `${process.pid} ${startOf(process.pid)}\n`, { flag: 'wx' })
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const [digits, start] = readFileSync(path, 'utf8').trim().split(' ')
    const pid = Number(digits)
    // An empty file: its writer is between opening it and writing it, or died there.
    if (pid > 0 && isAlive(pid) && startOf(pid) === start) {
      throw new SandboxError(
        `a sandbox is already at work in ${folder} (process ${pid}): use that one, or end it with: kill ${pid}`,
      )
    }
    rmSync(path, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * When a process began, in ticks since boot, where /proc tells: its number may be another's by now. One that has ended
 * and that its parent has not looked at yet (a zombie) never matches.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // proc(5): the third field is the state, the 22nd the time; the second, in parentheses, may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '-')
  } catch {
    return '-'
  }
}
