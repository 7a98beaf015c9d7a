/** `npm start` in a folder of its own: the whole suite as processes, with a pretend Internet. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxFile } from '../../src/sandbox/folder.ts'
import { type Running, start } from './program.ts'

export interface RunningSandbox {
  /** sandbox.json as it is now: a service that was started again has another pid. */
  file(): SandboxFile
  output(): string
  /** Ends it, and resolves when every process of it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
  readonly program: Running
}

const { PTT_PROGRAM } = process.env
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

/**
 * A command of ptt as a process: of the sources; where PTT_PROGRAM names the executable of `npm run build`, that. The tests that
 * run ptt as processes are then tests of it: `PTT_PROGRAM=$PWD/dist/ptt-linux-x64 npm test test/e2e`.
 */
export function pttCommand(...words: string[]): [program: string, args: string[]] {
  return PTT_PROGRAM ? [PTT_PROGRAM, words] : [process.execPath, [MAIN, ...words]]
}

/** Resolves when the first message was delivered. */
export async function runSandbox(folder: string, ...args: string[]): Promise<RunningSandbox> {
  const program = start(...pttCommand('sandbox', '--folder', folder, ...args))
  await program.said(/Ctrl-C ends it/)
  return {
    file: () => JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')) as SandboxFile,
    output: program.output,
    stop: program.stop,
    program,
  }
}
