/**
 * One attempt at one job: every host of the destination, every address of a host, in order, until each recipient has a
 * verdict that another host would not change (RFC 5321 §5.1).
 */

import type { ReplyRule } from '../config/replies.ts'
import type { Log } from '../observe/event.ts'
import type { Job, Queue } from '../queue/queue.ts'
import { addressesOf, type Lookup, type MailHost, route } from './destination.ts'
import { type Dialling, dial, fromObjection, isLink } from './dial.ts'
import { inThisLight, type Verdict } from './outcome.ts'
import { classify } from './replies.ts'
import type { Link } from './site/links.ts'
import type { Closure, Site } from './site/site.ts'
import type { Place } from './site/sites.ts'
import { objectionToHost, policyFor, type TlsPolicy } from './tls-policy.ts'
import { transact } from './transaction.ts'
import { type Judgement, Verdicts } from './verdicts.ts'

export interface Means extends Dialling {
  readonly queue: Queue
  readonly lookup: Lookup
  /** What replies mean beyond their codes. */
  readonly replies: readonly ReplyRule[]
  readonly random: () => number
  readonly log: Log
}

/** `null`: there is no place at the destination's site now; nothing was tried. */
export async function attempt(job: Job, means: Means, place: Place): Promise<Judgement[] | null> {
  const verdicts = new Verdicts(job)
  const where = await route(job.destination, means.lookup, means.hostname, means.random)
  if (where.kind === 'none') verdicts.conclude(noRoute(where))
  else {
    const site = place.arrive(where.hosts.map(({ name }) => name))
    if (site === null) return null
    await visit(where.hosts, { job, means, site, policy: policyFor(job.message), verdicts })
  }
  const nowMs = means.now()
  return job.recipients.map(index => verdicts.judge(index, nowMs))
}

interface Visit {
  readonly job: Job
  readonly means: Means
  readonly site: Site
  readonly policy: TlsPolicy
  readonly verdicts: Verdicts
}

async function visit(hosts: readonly MailHost[], visit: Visit): Promise<void> {
  const { job, means, site, policy, verdicts } = visit
  const closure = site.closure(means.now())
  if (closure !== null) return verdicts.conclude(fromClosure(closure, site))
  const log = means.log.with({ id: job.message.id, destination: job.destination })
  const kept = site.links.take(link => fits(link, hosts, policy))
  if (kept !== undefined) await over(kept, verdicts.left, visit, log)
  for (const host of hosts) {
    if (verdicts.left.length === 0) break
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
    for (const address of found.addresses) await call(host, address, visit, log)
  }
  const { unreachable } = verdicts
  if (unreachable !== null) tellClosed(site.failed(means.now(), unreachable), site, log)
}

/** One address of one host, as many sessions as are needed: a peer may take few transactions in one (RFC 9422 §4.1). */
async function call(host: MailHost, address: string, visit: Visit, log: Log): Promise<void> {
  const { means, site, policy, verdicts } = visit
  let left = verdicts.left
  while (left.length > 0) {
    site.connecting(means.now())
    const link = await dial(host, address, policy, means, log)
    if (!isLink(link)) {
      const remote = `${host.name} [${address}]`
      const { verdict, silent } = link
      log.event('attempt', { remote, failed: verdict.diagnostic, ...policyFields(policy) })
      if (silent) verdicts.unanswered(`${remote}: ${verdict.diagnostic}`)
      verdicts.conclude(inTheLightOfRules(verdict, host.name, visit, log), remote)
      return
    }
    left = await over(link, left, visit, log)
  }
}

/** Whether an open connection is one that these hosts and this policy would lead to, and no lesser one. */
function fits(link: Link, hosts: readonly MailHost[], policy: TlsPolicy): boolean {
  if (link.policy.level !== policy.level) return false
  const best = hosts[0]?.preference
  const host = hosts.find(({ name, preference }) => name === link.host && preference === best)
  return host !== undefined && objectionToHost(policy, host) === null
}

/** Sends over the link and gives it back. Returns those whom the session had no transaction left for. */
async function over(
  link: Link,
  recipients: readonly number[],
  visit: Visit,
  log: Log,
): Promise<readonly number[]> {
  const { job, means, site, verdicts } = visit
  const { connection, remote, policy } = link
  const tls = connection.tls === null ? 'none' : `${connection.tls.version} ${connection.tls.cipher}`
  log.event('attempt', { remote, tls, recipients: recipients.length, ...policyFields(policy) })
  const content = await means.queue.content(job.message.id)
  const most = site.shape.recipientsPerTransaction
  const results = await transact(link, job.message, recipients, content, most, means.now)
  for (const [index, verdict] of results)
    verdicts.note(index, inTheLightOfRules(verdict, link.host, visit, log), remote)
  if (link.connection.usable) {
    verdicts.reached()
    site.succeeded()
  }
  link.messages++
  site.links.give(link, means.now())
  return recipients.filter(index => !results.has(index))
}

/** What the rules know of a reply: of the recipient, and of the site, which may have asked us to wait. */
function inTheLightOfRules(verdict: Verdict, host: string, { means, site }: Visit, log: Log): Verdict {
  const { reply } = verdict
  if (reply === undefined || verdict.action === 'delivered') return verdict
  const said = classify(means.replies, reply, host)
  const { category, pauseMs, rule } = said
  if (pauseMs !== null) {
    const nowMs = means.now()
    const closed = site.slow(nowMs, nowMs + pauseMs, verdict.diagnostic)
    tellClosed(closed, site, log)
    if (closed !== null && category === 'blocked')
      log.event('alarm', { about: category, host, reply: verdict.diagnostic, advice: rule?.advice }, 'error')
  }
  return inThisLight(verdict, said)
}

function tellClosed(closure: Closure | null, { key, concurrency }: Site, log: Log): void {
  if (closure === null) return
  const { untilMs, reason } = closure
  const until = new Date(untilMs).toISOString()
  log.event('site', { site: key, state: 'closed', until, places: concurrency.window, reason }, 'warn')
}

/** The site does not answer, or has asked us to wait: another connection would tell nothing new. */
function fromClosure({ sinceMs, reason }: Closure, site: Site): Verdict {
  const diagnostic = `Not tried: ${site.key} since ${new Date(sinceMs).toISOString()}: ${reason}`
  return { action: 'deferred', status: '4.4.1', diagnostic }
}

/** In the log where it is not what holds for everybody. */
function policyFields({ level, reason }: TlsPolicy): { policy?: string; because?: string } {
  return level === 'opportunistic' ? {} : { policy: level, because: reason }
}

function noRoute({ status, diagnostic }: { status: string; diagnostic: string }): Verdict {
  return { action: status.startsWith('5') ? 'failed' : 'deferred', status, diagnostic }
}
