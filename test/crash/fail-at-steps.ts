/**
 * Loaded before a program (`node --import`): while there is a file FAIL_FILE, every step of its spool fails with the error that
 * the file has the code of, as when the file system was mounted anew as read-only.
 */

import { readFileSync } from 'node:fs'
import { onStep } from '../../src/queue/embedded/step.ts'

const file = process.env.FAIL_FILE

onStep(step => {
  if (file === undefined || step === 'commit done') return
  let code: string
  try {
    code = readFileSync(file, 'utf8')
  } catch {
    return
  }
  throw Object.assign(new Error(`${code}: ${step}`), { code })
})

/** What a program is started with to fail so: a command and its arguments, before the program's own. */
export function failingWhile(file: string): string[] {
  return ['env', `FAIL_FILE=${file}`, `NODE_OPTIONS=--import=${import.meta.url}`]
}
