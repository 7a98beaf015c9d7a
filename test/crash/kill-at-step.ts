/**
 * Loaded before a program (`node --import`): ends its process, as `kill -9` does, when its spool comes to the step that
 * KILL_AT names, for the time that it says: `commit begin:3`; from 0.
 */

import { onStep } from '../../src/queue/embedded/step.ts'

const [name, count] = (process.env.KILL_AT ?? '').split(':')
let left = Number(count)

onStep(step => {
  if (step === name && left-- === 0) process.kill(process.pid, 'SIGKILL')
})

/** What a program is started with to be ended so: a command and its arguments, before the program's own. */
export function killedAt(step: string, count: number): string[] {
  return ['env', `KILL_AT=${step}:${count}`, `NODE_OPTIONS=--import=${import.meta.url}`]
}
