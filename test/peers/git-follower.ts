/** A follower of a repository of users for tests, what it tells, and an orderly end. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import type { Follower } from '../../src/directory/directory.ts'
import { type FollowOptions, follow } from '../../src/directory/repository.ts'
import type { Fields, Level, Log } from '../../src/observe/event.ts'

/** The test file's own folder. */
export const temporary = mkdtempSync(join(tmpdir(), 'ptt-directory-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

export type Told = Fields & { readonly level: Level; readonly name: string }

/** Keeps what is told; `until` waits for a `state`. */
export class Listener implements Log {
  readonly told: Told[] = []
  #waiting: (() => void)[] = []

  event(name: string, fields: Fields = {}, level: Level = 'info'): void {
    assert.match(name, /^(directory|alarm)$/)
    this.told.push({ ...fields, level, name })
    for (const wake of this.#waiting.splice(0)) wake()
  }

  with(): Log {
    return this
  }

  flush(): void {}

  /** An alarm is called so. */
  states(): unknown[] {
    return this.told.map(({ state, name }) => state ?? name)
  }

  last(): Told {
    const last = this.told.at(-1)
    assert.ok(last, 'nothing was told')
    return last
  }

  async until(state: string, commit?: string): Promise<Told> {
    for (;;) {
      const found = this.told.find(fields => fields.state === state && (!commit || fields.commit === commit))
      if (found) return found
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }
}

const undo = new WeakMap<TestContext, (() => unknown)[]>()

/** Last in, first out: a follower ends before its server, a server before its repository. All of them run. */
export function cleanUp(t: TestContext, step: () => unknown): void {
  const steps = undo.get(t) ?? []
  if (steps.length === 0)
    t.after(async () => {
      const results = []
      for (const each of steps.toReversed())
        results.push(
          await Promise.resolve()
            .then(each)
            .catch(error => error),
        )
      for (const result of results) if (result instanceof Error) throw result
    })
  steps.push(step)
  undo.set(t, steps)
}

let clones = 0

/** Ends with the test. A clone that is given again is a restart. */
export async function started(
  t: TestContext,
  repository: string,
  options: Partial<FollowOptions> = {},
): Promise<{ follower: Follower; log: Listener; clone: string }> {
  const log = new Listener()
  const clone = join(temporary, `clone-${clones++}.git`)
  const usual = { branch: 'main', domain: 'example.com', require: 'fast-forward', timeoutMs: 20_000 } as const
  const hour = 3_600_000
  const fixed = { ...usual, repository, clone, intervalMs: hour, alarmAfterMs: hour, log, ...options }
  const follower = await follow(fixed)
  cleanUp(t, () => follower.close())
  return { follower, log, clone: fixed.clone }
}
