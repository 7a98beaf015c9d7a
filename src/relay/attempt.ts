/**
 * One attempt at one job: every host of the destination, every address of a host, in order, until each recipient has a
 * verdict that another host would not change (RFC 5321 §5.1).
 */

import type { ReplyRule } from '../config/replies.ts'
import type { RouteRule } from '../config/routes.ts'
import { saysTlsNotRequired } from '../message/tls-required.ts'
import type { Log } from '../observe/event.ts'
import type { Job, Queue } from '../queue/queue.ts'
import { type Announcements, announcedBy } from './announced.ts'
import { domainOf, type MailHost, namesOf, route } from './destination.ts'
import type { StsAnswer } from './mta-sts/mta-sts.ts'
import { inThisLight, type Verdict, type Where } from './outcome.ts'
import { type Miss, Reach, type Reaching } from './reach/reach.ts'
import type { Source } from './reach/source.ts'
import { classify } from './replies.ts'
import { hostOf, smartHostFor } from './routes.ts'
import type { SignatureCheck } from './signature-check.ts'
import type { Link } from './site/links.ts'
import type { Closure, Site } from './site/site.ts'
import type { Place } from './site/sites.ts'
import type { Sources } from './sources.ts'
import {
  objectionToHost,
  objectionToPeer,
  policyFor,
  SMART_HOST,
  type TlsPolicy,
  waiverOf,
} from './tls-policy.ts'
import { transact } from './transaction.ts'
import { type Judgement, Verdicts } from './verdicts.ts'

export interface Means extends Reaching, Announcements {
  readonly queue: Queue
  /** Our own name: that of the relay, and in EHLO where the source has none of its own. */
  readonly hostname: string
  /** Where messages leave from. */
  readonly sources: Sources
  /** Smart hosts, and what goes through them. */
  readonly routes: readonly RouteRule[]
  /** Whether what we send can be verified; nobody asks when it is not there. */
  readonly signatures?: Pick<SignatureCheck, 'objection'>
  /** What replies mean beyond their codes. */
  readonly replies: readonly ReplyRule[]
  readonly random: () => number
  readonly log: Log
}

/** `null`: there is no place at the destination's site now; nothing was tried. */
export async function attempt(job: Job, means: Means, place: Place): Promise<Judgement[] | null> {
  const verdicts = new Verdicts(job)
  const through = smartHostFor(means.routes, job)
  const where =
    through === null
      ? await route(domainOf(job.destination), means.lookup, means.sources.hostnames, means.random)
      : { kind: 'hosts' as const, hosts: [hostOf(through, means.lookup.trusted)] }
  if (where.kind === 'none') verdicts.conclude(noRoute(where))
  else {
    const source = means.sources.sourceOf(job.message, job.destination)
    if (source === null) verdicts.conclude(SENT_ENOUGH)
    else {
      const share = means.sources.begin(source, job.recipients.length)
      for (const index of job.recipients.slice(share)) verdicts.note(index, SENT_ENOUGH, {})
      try {
        const site = place.arrive(
          where.hosts.map(({ name }) => name),
          source.pool,
        )
        if (site === null) return null
        // Before anything is read or asked for: much may wait for a site that is closed.
        const closure = site.closure(means.now())
        if (closure !== null) {
          verdicts.conclude(fromClosure(closure, site), { site: site.key })
          return judged(job, verdicts, means)
        }
        const content = await means.queue.content(job.message.id)
        const announced =
          through === null
            ? await announcedBy(domainOf(job.destination), means)
            : { policy: SMART_HOST, sts: null }
        const { sts, policy: usual } = announced
        const waives = waiverOf(job.message, usual, () => saysTlsNotRequired([content]))
        const policy = policyFor(job.message, usual, waives)
        await visit(where.hosts, { job, content, means, site, policy, sts, source, verdicts })
      } finally {
        means.sources.end(source, share)
      }
    }
  }
  return judged(job, verdicts, means)
}

function judged(job: Job, verdicts: Verdicts, { now }: Means): Judgement[] {
  const nowMs = now()
  return job.recipients.map(index => verdicts.judge(index, nowMs))
}

interface Visit {
  readonly job: Job
  readonly content: Uint8Array
  readonly means: Means
  readonly site: Site
  readonly policy: TlsPolicy
  readonly sts: StsAnswer | null
  readonly source: Source
  readonly verdicts: Verdicts
}

async function visit(hosts: readonly MailHost[], visit: Visit): Promise<void> {
  const { job, means, site, policy, source, verdicts } = visit
  const log = means.log.with({ id: job.message.id, destination: job.destination })
  const unverifiable = await means.signatures?.objection(job.message.id, visit.content)
  if (unverifiable) return verdicts.conclude(held(unverifiable), { site: site.key })
  const kept = site.links.take(link => fits(link, hosts, visit))
  if (kept !== undefined) await over(kept, verdicts.left, visit, log)
  const miss = ({ host, remote, verdict, silent }: Miss) => {
    if (remote !== undefined)
      log.event('attempt', { remote, failed: verdict.diagnostic, ...policyFields(policy) })
    if (silent) verdicts.unanswered(`${remote}: ${verdict.diagnostic}`)
    const where = { ...from(visit), ...(remote === undefined ? {} : { remote }) }
    verdicts.conclude(inTheLightOfRules(verdict, host, visit, log), where)
  }
  const domain = domainOf(job.destination)
  const waives = waiverOf(job.message, policy, () => saysTlsNotRequired([visit.content]))
  const reach = new Reach(
    { hosts, domain, policy, waives, sts: visit.sts, id: job.message.id, source },
    means,
    miss,
    log,
  )
  while (verdicts.left.length > 0) {
    const link = await reach.next(() => site.connecting(means.now()))
    if (link === null) break
    await session(link, reach, visit, log)
  }
  const { unreachable } = verdicts
  if (unreachable !== null) tellClosed(site.failed(means.now(), unreachable), site, log)
}

/** Over one link, and as many more to the same address as are needed: a peer may take few transactions in one (RFC 9422). */
async function session(link: Link, reach: Reach, visit: Visit, log: Log): Promise<void> {
  const { means, site, verdicts } = visit
  let left = await over(link, verdicts.left, visit, log)
  while (left.length > 0) {
    reach.again(link)
    const another = await reach.next(() => site.connecting(means.now()))
    if (another === null) return
    left = await over(another, left, visit, log)
  }
}

/** Whether an open connection is one that these hosts, this policy and this source would lead to, and no lesser one. */
function fits(link: Link, hosts: readonly MailHost[], visit: Visit): boolean {
  const { candidate, connection, policy, source } = link
  if (
    candidate.waived ||
    policy.level !== visit.policy.level ||
    policy.reason !== visit.policy.reason ||
    source.name !== visit.source.name
  )
    return false
  const best = hosts[0]?.preference
  const host = hosts.find(
    ({ name, preference, route }) =>
      name === candidate.host.name && preference === best && route === candidate.host.route,
  )
  // What DANE says of a host hangs on how the destination's MX records are protected.
  if (host === undefined || host.secure !== candidate.host.secure) return false
  // Of the same level, and yet another policy: what MTA-STS names is of each domain.
  if (objectionToHost(visit.policy, host) !== null) return false
  // With DANE-TA the certificate may be for the domain that the connection was opened for, and not for this one.
  const names = namesOf(host, domainOf(visit.job.destination))
  return objectionToPeer(candidate.policy, connection, names, visit.means.now()) === null
}

/** Sends over the link and gives it back. Returns those whom the session had no transaction left for. */
async function over(
  link: Link,
  recipients: readonly number[],
  visit: Visit,
  log: Log,
): Promise<readonly number[]> {
  const { job, means, site, verdicts } = visit
  const { remote, candidate } = link
  const tls = protection(link)
  log.event('attempt', { remote, tls, recipients: recipients.length, ...policyFields(candidate.policy) })
  const { level, reason } = candidate.policy
  const asked = level === 'opportunistic' ? {} : { policy: reason }
  const where = { ...from(visit), remote, tls, ...asked }
  const { content } = visit
  const most = site.shape.recipientsPerTransaction
  const results = await transact(link, job.message, recipients, content, most, means.now)
  for (const [index, verdict] of results)
    verdicts.note(index, inTheLightOfRules(verdict, link.candidate.host.name, visit, log), where)
  if (link.connection.usable) {
    verdicts.reached()
    site.succeeded()
  }
  link.messages++
  const taken = [...results.values()].filter(({ action }) => action === 'delivered').length
  means.sources
    .sent(link.source, taken)
    .catch(error => log.event('alarm', { about: 'warm-up', error: String(error) }, 'error'))
  site.links.give(link, means.now())
  return recipients.filter(index => !results.has(index))
}

function from({ site, source }: Visit): Where {
  return { site: site.key, ...(source.name === '' ? {} : { source: source.name }) }
}

/** For the log and `ptt queue why`: version, cipher, and how it was verified who is there. */
function protection({ connection: { tls }, candidate }: Link): string {
  if (tls === null) return 'none'
  const { level, dane } = candidate.policy
  const how =
    level === 'pinned' || dane?.base === null
      ? 'by its fingerprint'
      : dane !== undefined
        ? 'by DANE'
        : tls.authorized
          ? 'by its name'
          : null
  const resumed = tls.resumed ? ' resumed' : ''
  return `${tls.version} ${tls.cipher}${resumed} ${how === null ? 'not verified' : `verified ${how}`}`
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

const SENT_ENOUGH: Verdict = {
  action: 'deferred',
  status: '4.3.2',
  diagnostic: 'The addresses we send from have had their share of today (warm-up in sources.toml)',
}

function held(reason: string): Verdict {
  const diagnostic = `Held: the signature does not verify with the key that our resolver sees: ${reason}`
  return { action: 'deferred', status: '4.7.7', diagnostic, category: 'signature' }
}

function noRoute({ status, diagnostic }: { status: string; diagnostic: string }): Verdict {
  return { action: status.startsWith('5') ? 'failed' : 'deferred', status, diagnostic }
}
