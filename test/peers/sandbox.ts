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

export const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

/** Resolves when the first message was delivered. */
export async function runSandbox(folder: string, ...args: string[]): Promise<RunningSandbox> {
  const program = start(process.execPath, [MAIN, 'sandbox', '--folder', folder, ...args])
  await program.said(/Ctrl-C ends it/)
  return {
    file: () => JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')) as SandboxFile,
    output: program.output,
    stop: program.stop,
    program,
  }
}
