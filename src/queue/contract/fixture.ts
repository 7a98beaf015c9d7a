/** Messages, results and holds for the suite and for tests of engines. Times are small numbers: no engine reads a clock. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Evidence, Hold, Job, NewMessage, Queue, RecipientResult } from '../queue.ts'

export interface EngineOptions {
  readonly retainIdsMs?: number
  readonly retainStoriesMs?: number
}

/** Makes an empty queue. What it needs is cleaned up after the test. */
export type MakeEngine = (
  t: TestContext,
  options?: EngineOptions,
) => Promise<{
  queue: Queue
  /** As if the process had crashed and begun anew; for engines that keep messages. */
  reopen?: () => Promise<Queue>
}>

export const ARRIVED = 1000
export const EXPIRES = 9000
export const evidence: Evidence = {
  atMs: 1100,
  status: '4.2.1',
  diagnostic: '450 4.2.1 Greylisted',
  remote: 'mx [::1]',
}

/** `mailboxes`: `alice@one.example`; the destination is the domain. */
export function newMessage(id: string, mailboxes: readonly string[], arrivedMs = ARRIVED): NewMessage {
  const recipients = mailboxes.map(text => {
    const [localPart = '', domain = ''] = text.split('@')
    return { mailbox: { localPart, domain }, destination: domain }
  })
  return {
    id,
    arrivedMs,
    expiresMs: EXPIRES,
    recipients,
    envelope: {
      reversePath: { localPart: 'sender', domain: 'example.org' },
      recipients: recipients.map(({ mailbox }) => ({ forwardPath: mailbox })),
      body: '8BITMIME',
      smtputf8: true,
      authenticatedAs: 'sender@example.org',
      xptt: { id, commit: '0123456789abcdef0123456789abcdef01234567' },
    },
  }
}

/** The same octets for the same number, all values among them. */
export function octets(length: number, seed = 1): Uint8Array {
  const octets = new Uint8Array(length)
  for (let at = 0, state = seed; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    octets[at] = state >>> 16
  }
  return octets
}

export function all(job: Job, action: 'delivered' | 'failed' | 'expanded'): RecipientResult[] {
  return job.recipients.map(index => ({ index, action, evidence }))
}

export function deferred(job: Job, dueMs: number): RecipientResult[] {
  return job.recipients.map(index => ({ index, action: 'deferred', dueMs, evidence }))
}

/** `id destination`, a job each. */
export const named = (jobs: readonly Job[]) =>
  jobs.map(({ message, destination }) => `${message.id} ${destination}`)

/** A message with so many recipients at each of the destinations. */
export function manyAt(
  id: string,
  count: number,
  domains: readonly string[],
  arrivedMs = ARRIVED,
): NewMessage {
  const mailboxes = domains.flatMap(domain => Array.from({ length: count }, (_, n) => `u${n}@${domain}`))
  return newMessage(id, mailboxes, arrivedMs)
}

export const hold = (kind: Hold['kind'], name: string, untilMs: number | null = null): Hold => ({
  kind,
  name,
  reason: 'because',
  sinceMs: ARRIVED,
  untilMs,
})

export async function leaseOne(queue: Queue, nowMs: number): Promise<Job> {
  const [job, ...others] = await queue.lease(nowMs, 1)
  assert.ok(job)
  assert.equal(others.length, 0)
  return job
}
