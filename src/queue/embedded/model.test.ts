/** Any sequence of calls has the same results with the embedded engine as with the one in memory. */

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { newMessage, octets } from '../contract.ts'
import { openMemory } from '../memory/memory.ts'
import type { Job, Queue, RecipientResult, Scope, Skip } from '../queue.ts'
import { openEmbedded } from './embedded.ts'

/** What is done, with numbers that choose among what there is: `pick` an id or a job, `at` a time. */
type Step =
  | {
      type: 'put'
      id: number
      domains: number[]
      arrivedMs: number
      holdMs: number
      priority: number
      size: number
      /** Recipients at each domain. */
      many: number
    }
  | { type: 'lease'; nowMs: number; limit: number; skip: number; parks: boolean }
  | { type: 'unpark'; domain: number | null }
  | { type: 'hold' | 'lift'; scope: number; untilMs: number | null }
  | { type: 'settle'; pick: number; actions: number[]; dueMs: number; keep: boolean }
  | { type: 'release'; pick: number }
  | { type: 'retry' | 'remove'; id: number; nowMs: number }
  | { type: 'sweep'; nowMs: number }
  /** To look at everything brings all that is young into the database: it is not done after each step. */
  | { type: 'look' }
  | { type: 'reopen'; crash: boolean }

const IDS = 12
const RETAIN_MS = 30
/** Some laps. */
const JOURNAL_OCTETS = 32 * 1024
const idOf = (id: number) => `M${id}`
/** Often the same, so that the order of what is due at once counts. */
const time = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(20, 40, 60, 80))
const id = fc.nat(IDS - 1)

const SCOPES: readonly Scope[] = [
  { kind: 'message', name: 'M0' },
  { kind: 'message', name: 'M1' },
  { kind: 'sender', name: 'odd@example.org' },
  { kind: 'sender', name: '@example.org' },
  { kind: 'destination', name: 'd0.example' },
  { kind: 'site', name: 'd1.example' },
]

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('put' as const),
      id,
      domains: fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }),
      arrivedMs: time,
      holdMs: fc.constantFrom(0, 0, 20),
      priority: fc.constantFrom(0, 0, 4, -9, 9),
      size: fc.constantFrom(0, 100, 70_000),
      many: fc.constantFrom(1, 1, 1, 1, 1, 130),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('lease' as const),
      nowMs: time,
      limit: fc.integer({ min: 1, max: 4 }),
      skip: fc.nat(9),
      parks: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('unpark' as const), domain: fc.option(fc.nat(4)) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('hold' as const, 'lift' as const),
      scope: fc.nat(SCOPES.length - 1),
      untilMs: fc.option(time),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('settle' as const),
      pick: fc.nat(20),
      actions: fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }),
      dueMs: time,
      keep: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('release' as const), pick: fc.nat(20) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom('retry' as const, 'remove' as const), id, nowMs: time }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('sweep' as const), nowMs: time }) },
  { weight: 2, arbitrary: fc.constant({ type: 'look' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const), crash: fc.boolean() }) },
)

const ACTIONS = ['delivered', 'deferred', 'failed', 'deferred', 'expanded'] as const

function resultsOf(job: Job, actions: readonly number[], dueMs: number): RecipientResult[] {
  const evidence = { atMs: dueMs, status: '4.0.0', diagnostic: 'because' }
  return job.recipients.map((index, at) => {
    const action = ACTIONS[actions[at % actions.length] ?? 0] ?? 'delivered'
    return action === 'deferred' ? { index, action, dueMs, evidence } : { index, action, evidence }
  })
}

/** Calls `queue` as the step says; what comes back is compared. `jobs` has the leased ones. */
async function apply(
  queue: Queue,
  jobs: Job[],
  step: Exclude<Step, { type: 'reopen' | 'look' }>,
): Promise<unknown> {
  switch (step.type) {
    case 'put': {
      const mailboxes = step.domains.flatMap((domain, at) =>
        Array.from({ length: step.many }, (_, n) => `${at}-${n}@d${domain}.example`),
      )
      const { arrivedMs, priority } = step
      const message = newMessage(idOf(step.id), mailboxes, arrivedMs)
      const reversePath = { localPart: step.id % 2 === 0 ? 'even' : 'odd', domain: 'Example.org' }
      const envelope = { ...message.envelope, reversePath, priority }
      return queue.put({ ...message, envelope, dueMs: arrivedMs + step.holdMs }, [octets(step.size)])
    }
    case 'lease': {
      // Above 4: nothing is skipped, or the number of questions decides.
      let asked = 0
      const skip = (destination: string): Skip => {
        if (destination === `d${step.skip}.example`) return step.parks ? 'park' : true
        return step.skip > 6 && ++asked % step.skip === 0
      }
      const leased = await queue.lease(step.nowMs, step.limit, skip)
      jobs.push(...leased)
      return leased
    }
    case 'settle': {
      const [job] = jobs.splice(step.pick % Math.max(jobs.length, 1), 1)
      if (!job) return undefined
      const results = resultsOf(job, step.actions, step.dueMs)
      if (!step.keep) return queue.settle(job, results)
      jobs.push(job)
      return queue.settle(job, results, 'keep')
    }
    case 'release': {
      const [job] = jobs.splice(step.pick % Math.max(jobs.length, 1), 1)
      return job && queue.release(job)
    }
    case 'unpark':
      return queue.unpark(step.domain === null ? undefined : `d${step.domain}.example`)
    case 'hold': {
      const scope = SCOPES[step.scope] ?? assert.fail()
      return queue.hold({ ...scope, reason: 'because', sinceMs: 1, untilMs: step.untilMs })
    }
    case 'lift':
      return queue.lift(SCOPES[step.scope] ?? assert.fail())
    case 'retry':
      return queue.retry(idOf(step.id), step.nowMs)
    case 'remove':
      return queue.remove(idOf(step.id))
    case 'sweep':
      return queue.sweep(step.nowMs)
  }
}

async function everything(queue: Queue) {
  const messages = await queue.list({ limit: 100 })
  const contents = await Promise.all(messages.map(({ id }) => queue.content(id)))
  const ids = Array.from({ length: IDS }, (_, id) => idOf(id))
  return {
    messages,
    stories: await Promise.all(ids.map(id => queue.story(id))),
    holds: await queue.holds(),
    sizes: contents.map(({ length }) => length),
    count: await queue.count(),
    nextDue: await queue.nextDue(),
  }
}

/** What a crash takes from an engine that keeps nothing else in its memory. */
async function forget(memory: Queue, jobs: Job[]): Promise<void> {
  for (const job of jobs.splice(0)) memory.release(job)
  memory.unpark()
  // Turns begin anew with any hold.
  const scope = { kind: 'site', name: 'nowhere.example' } as const
  await memory.hold({ ...scope, reason: 'because', sinceMs: 1, untilMs: null })
  await memory.lift(scope)
}

/** All there is, once nothing keeps it any more. */
async function drained(queue: Queue, jobs: Job[]): Promise<unknown> {
  for (const scope of SCOPES) await queue.lift(scope)
  queue.unpark()
  for (const job of jobs.splice(0)) queue.release(job)
  const leased = await queue.lease(1000, 1000)
  for (const job of leased) await queue.settle(job, resultsOf(job, [0], 1000))
  assert.equal(await queue.count(), 0)
  return leased
}

test('embedded and memory agree', async t => {
  const above = mkdtempSync(join(tmpdir(), 'ptt-queue-model-'))
  t.after(() => rmSync(above, { recursive: true }))
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async steps => {
      const folder = join(above, String(runs++))
      const memory = openMemory({ retainIdsMs: RETAIN_MS })
      let copies = 0
      let spool = folder
      const open = () =>
        openEmbedded({ folder: spool, retainIdsMs: RETAIN_MS, journalOctets: JOURNAL_OCTETS })
      let embedded = await open()
      const memoryJobs: Job[] = []
      const embeddedJobs: Job[] = []
      try {
        for (const step of steps) {
          if (step.type === 'reopen') {
            await forget(memory, memoryJobs)
            // What a crash leaves is what is on the disk now.
            const left = `${folder}-${copies++}`
            if (step.crash) cpSync(spool, left, { recursive: true })
            await embedded.close()
            if (step.crash) spool = left
            embedded = await open()
            embeddedJobs.length = 0
          } else if (step.type !== 'look') {
            const [expected, actual] = await Promise.all([
              apply(memory, memoryJobs, step),
              apply(embedded, embeddedJobs, step),
            ])
            assert.deepEqual(actual, expected)
          }
          if (step.type === 'look' || step.type === 'reopen')
            assert.deepEqual(await everything(embedded), await everything(memory))
        }
        assert.deepEqual(await everything(embedded), await everything(memory))
        assert.deepEqual(await drained(embedded, embeddedJobs), await drained(memory, memoryJobs))
      } finally {
        await embedded.close()
      }
    }),
    { numRuns: 80, seed: 20_250_101 },
  )
})
