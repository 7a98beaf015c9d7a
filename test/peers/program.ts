/** What the starters beside this file share: running a program, watching it, a folder that goes away. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** How a program ended: its exit status (-1: a signal ended it) and all it said, both streams in order of arrival. */
export interface Finished {
  readonly code: number
  readonly output: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** After this it is killed and `code` is -1. */
  readonly timeoutMs?: number
}

export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  // A program that ends before it has read its input closes the pipe: its exit status tells what happened.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? -1, output }
}

/** A program that stays. */
export interface Running {
  readonly process: ChildProcess
  /** What it has said. */
  output(): string
  /** Resolves when it has said that; rejects with all it said when it ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves when it is gone, and whoever else writes to its output. */
  readonly ended: Promise<void>
  /** Ends it and waits for that. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export function start(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Running {
  const env = { ...process.env, ...options.env }
  const child = spawn(program, args, { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let over = false
  const news = new EventTarget()
  const hear = (text: string) => {
    output += text
    news.dispatchEvent(new Event('news'))
  }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear)
  const ended = new Promise<void>(resolve => {
    const end = () => {
      over = true
      hear('')
      resolve()
    }
    child.once('close', end)
    child.once('error', error => {
      hear(error.message)
      end()
    })
  })
  return {
    process: child,
    output: () => output,
    async said(pattern) {
      for (;;) {
        const found = pattern.exec(output)
        if (found !== null) return found
        assert.ok(!over, `${program} ended without saying ${pattern}: ${output}`)
        await new Promise(resolve => news.addEventListener('news', resolve, { once: true }))
      }
    },
    ended,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      await ended
    },
  }
}

/** Tries to connect until somebody accepts; `alive` false ends the waiting with its complaint. */
export async function accepting(
  port: number,
  alive: () => boolean,
  complaint: () => string,
  host = '127.0.0.1',
): Promise<void> {
  for (let attempt = 0; attempt < 1_500; attempt++) {
    assert.ok(alive(), complaint())
    if (await accepts(host, port)) return
    await pause(20)
  }
  assert.fail(`nothing listens on port ${port}: ${complaint()}`)
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** A new folder others may enter (servers give up root before they write); `remove()` deletes it. */
export function temporaryFolder(name: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `ptt-${name}-`))
  chmodSync(path, 0o755)
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export const isRoot = process.getuid?.() === 0
