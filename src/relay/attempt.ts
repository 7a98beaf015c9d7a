/**
 * One attempt at one job: every host of the destination, every address of a host, in order, until each recipient has a
 * verdict that another host would not change (RFC 5321 §5.1).
 */

import type { Log } from '../observe/event.ts'
import type { Evidence, Job, Queue } from '../queue/queue.ts'
import { addressesOf, type Lookup, route } from './destination.ts'
import { type Dialling, dial, fromObjection, isLink } from './dial.ts'
import type { PeerPromises } from './notice.ts'
import { evidence, settleNext, type Verdict } from './outcome.ts'
import type { Link, Sites } from './site.ts'
import { objectionToHost, policyFor, type TlsPolicy } from './tls-policy.ts'
import { transact } from './transaction.ts'

export interface Means extends Dialling {
  readonly queue: Queue
  readonly lookup: Lookup
  readonly sites: Sites
  readonly random: () => number
  readonly log: Log
}

export interface Judgement {
  readonly index: number
  readonly action: 'delivered' | 'failed' | 'deferred' | 'expanded'
  readonly evidence: Evidence
  /** Of a delivery: what the peer does with the message. */
  readonly peer?: PeerPromises
  /** Nothing was ever attempted: `evidence` is only of a time that passed. */
  readonly attempted?: false
}

export async function attempt(job: Job, means: Means): Promise<Judgement[]> {
  const verdicts = new Verdicts(job)
  await visit(job, means, verdicts)
  const nowMs = means.now()
  return job.recipients.map(index => verdicts.judge(index, nowMs))
}

async function visit(job: Job, means: Means, verdicts: Verdicts): Promise<void> {
  const { destination } = job
  const log = means.log.with({ id: job.message.id, destination })
  const policy = policyFor(job.message)
  const kept = means.sites.take(destination, policy)
  if (kept !== undefined) {
    await over(kept, verdicts.left, job, means, verdicts, log)
    if (verdicts.left.length === 0) return
  }
  const where = await route(destination, means.lookup, means.hostname, means.random)
  if (where.kind === 'none') return verdicts.conclude(noRoute(where))
  for (const host of where.hosts) {
    const objection = objectionToHost(policy, host)
    if (objection !== null) {
      verdicts.conclude(fromObjection(objection))
      continue
    }
    const found = await addressesOf(host, means.lookup)
    if (found.kind === 'none') {
      verdicts.conclude({ action: 'next', status: found.status, diagnostic: found.diagnostic })
      continue
    }
    for (const address of found.addresses) {
      let left = verdicts.left
      // More than once where the peer takes fewer transactions in a session than are needed (RFC 9422 §4.1).
      while (left.length > 0) {
        const link = await dial(host, address, policy, means, log)
        if (!isLink(link)) {
          const remote = `${host.name} [${address}]`
          log.event('attempt', { remote, failed: link.diagnostic, ...policyFields(policy) })
          verdicts.conclude(link, remote)
          break
        }
        left = await over(link, left, job, means, verdicts, log)
      }
      if (verdicts.left.length === 0) return
    }
  }
}

/** Sends over the link and gives it back. Returns those whom the session had no transaction left for. */
async function over(
  link: Link,
  recipients: readonly number[],
  job: Job,
  means: Means,
  verdicts: Verdicts,
  log: Log,
): Promise<readonly number[]> {
  const { connection, remote, policy } = link
  const tls = connection.tls === null ? 'none' : `${connection.tls.version} ${connection.tls.cipher}`
  log.event('attempt', { remote, tls, recipients: recipients.length, ...policyFields(policy) })
  const content = await means.queue.content(job.message.id)
  const results = await transact(link, job.message, recipients, content, means.now)
  for (const [index, verdict] of results) verdicts.note(index, verdict, remote)
  link.messages++
  means.sites.give(job.destination, link, means.now())
  return recipients.filter(index => !results.has(index))
}

/** In the log where it is not what holds for everybody. */
function policyFields({ level, reason }: TlsPolicy): { policy?: string; because?: string } {
  return level === 'opportunistic' ? {} : { policy: level, because: reason }
}

function noRoute({ status, diagnostic }: { status: string; diagnostic: string }): Verdict {
  return { action: status.startsWith('5') ? 'failed' : 'deferred', status, diagnostic }
}

const UNTRIED: Verdict = {
  action: 'deferred',
  status: '4.4.1',
  diagnostic: 'No host of the destination could be tried',
}

/** What the hosts said so far of each recipient of a job, and who said it. */
class Verdicts {
  readonly #indices: readonly number[]
  readonly #verdicts = new Map<number, { readonly verdict: Verdict; readonly remote: string | undefined }>()

  constructor({ recipients }: Job) {
    this.#indices = recipients
  }

  /** Those for whom another host may be asked. */
  get left(): readonly number[] {
    return this.#indices.filter(index => (this.#verdicts.get(index)?.verdict.action ?? 'next') === 'next')
  }

  /** The same verdict for everybody who has no final one yet. */
  conclude(verdict: Verdict, remote?: string): void {
    for (const index of this.#indices) this.note(index, verdict, remote)
  }

  /** One host's "cannot" does not outweigh another's "not now": as long as one may yet take it, the recipient waits. */
  note(index: number, verdict: Verdict, remote: string | undefined): void {
    const earlier = this.#verdicts.get(index)?.verdict
    if (earlier !== undefined && earlier.action !== 'next') return
    const waits = earlier !== undefined && settleNext(earlier).action === 'deferred'
    if (waits && verdict.action === 'next' && settleNext(verdict).action === 'failed') return
    this.#verdicts.set(index, { verdict, remote })
  }

  judge(index: number, nowMs: number): Judgement {
    const { verdict, remote } = this.#verdicts.get(index) ?? { verdict: UNTRIED, remote: undefined }
    const settled = settleNext(verdict)
    const action = settled.action === 'next' ? 'deferred' : settled.action
    const { peer } = settled
    return {
      index,
      action,
      evidence: evidence(settled, nowMs, remote),
      ...(peer === undefined ? {} : { peer }),
    }
  }
}
