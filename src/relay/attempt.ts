/**
 * One attempt at one job: where its destination leads, whether anything may be sent there now, how it must be protected;
 * then a visit (`visit.ts`), which another process may make, while what is known of a site is here.
 */

import type { RouteRule } from '../config/routes.ts'
import { saysTlsNotRequired } from '../message/tls-required.ts'
import type { Log } from '../observe/event.ts'
import type { Job, Queue, StoredContent } from '../queue/queue.ts'
import { type Announced, type Announcements, announcedBy } from './announced.ts'
import { domainOf, type MailHost, route, routeOf } from './destination.ts'
import type { Verdict } from './outcome.ts'
import type { Source } from './reach/source.ts'
import { hostOf, smartHostFor } from './routes.ts'
import type { Closure, Site } from './site/site.ts'
import type { Place } from './site/sites.ts'
import type { Sources } from './sources.ts'
import { policyFor, SMART_HOST, waiverOf } from './tls-policy.ts'
import { type Judgement, Verdicts } from './verdicts.ts'
import { type Errand, type SiteNotes, type VisitMeans, visit } from './visit.ts'

export interface Means extends VisitMeans, Announcements {
  readonly queue: Queue
  /** Our own name: that of the relay, and in EHLO where the source has none of its own. */
  readonly hostname: string
  /** Where messages leave from. */
  readonly sources: Sources
  /** Smart hosts, and what goes through them. */
  readonly routes: readonly RouteRule[]
  readonly random: () => number
  readonly log: Log
  /** Another process goes to the hosts of a site. Not given: we do. */
  readonly visit?: Visiting
}

/** Rejects when nobody knows what came of it. */
export type Visiting = (
  errand: Errand,
  content: StoredContent,
  site: Site,
  notes: SiteNotes,
) => Promise<Judgement[]>

/** `null`: there is no place at the destination's site now; nothing was tried. */
export async function attempt(job: Job, means: Means, place: Place): Promise<Judgement[] | null> {
  const verdicts = new Verdicts(job)
  const through = smartHostFor(means.routes, job)
  const where =
    through === null
      ? await route(domainOf(job.destination), means.lookup, means.sources.hostnames, means.random)
      : { kind: 'hosts' as const, hosts: [hostOf(through, means.lookup.trusted)] }
  if (where.kind === 'none') {
    // It is at no site, and yet there may be much of it: some at a time, and not the next when this one is over.
    if (place.arrive([`no host of ${domainOf(job.destination)}`]) === null) return null
    verdicts.conclude(noRoute(where))
  } else {
    const source = means.sources.sourceOf(job.message, job.destination)
    if (source === null) verdicts.conclude(SENT_ENOUGH)
    else {
      const share = means.sources.begin(source, job.recipients.length)
      for (const index of job.recipients.slice(share)) verdicts.note(index, SENT_ENOUGH, {})
      try {
        const hosts = where.hosts.map(({ name }) => name)
        // After some attempts, or by rules that are new since it was queued, it may go where others of its destination do not.
        const astray = (through?.name ?? '') !== routeOf(job.destination)
        const site = astray ? place.stray(hosts, source.pool) : place.arrive(hosts, source.pool)
        if (site === null) return null
        // Before anything is read or asked for: much may wait for a site that is closed.
        const closure = site.closure(means.now())
        if (closure !== null) {
          verdicts.conclude(fromClosure(closure, site), { site: site.key })
          return judged(job, verdicts, means)
        }
        const announced =
          through === null
            ? await announcedBy(domainOf(job.destination), means)
            : { policy: SMART_HOST, sts: null }
        const some = { ...job, recipients: job.recipients.slice(0, share) }
        const come = await send(some, where.hosts, source, site, announced, means)
        return [...come, ...judged({ ...job, recipients: job.recipients.slice(share) }, verdicts, means)]
      } finally {
        means.sources.end(source, share)
      }
    }
  }
  return judged(job, verdicts, means)
}

/** Its content is open for as long as the visit takes. */
async function send(
  job: Job,
  hosts: readonly MailHost[],
  source: Source,
  site: Site,
  { sts, policy: usual }: Announced,
  means: Means,
): Promise<Judgement[]> {
  const content = await means.queue.openContent(job.message.id)
  try {
    const waives = waiverOf(job.message, usual, () => saysTlsNotRequired([content.start]))
    const policy = policyFor(job.message, usual, waives)
    const { key, shape } = site
    const errand = { job, hosts, policy, sts, source, site: { key, shape } }
    const notes = notesOf(site, job, means)
    if (means.visit !== undefined) return await means.visit(errand, content, site, notes)
    return await visit(errand, content, site.links, notes, means)
  } finally {
    await content.close()
  }
}

function judged(job: Job, verdicts: Verdicts, { now }: Means): Judgement[] {
  const nowMs = now()
  return job.recipients.map(index => verdicts.judge(index, nowMs))
}

/** What a visit tells, where the site is known. */
function notesOf(site: Site, job: Job, { now, sources, log: all }: Means): SiteNotes {
  const log = all.with({ id: job.message.id, destination: job.destination })
  return {
    connecting: () => site.connecting(now()),
    succeeded: () => site.succeeded(),
    failed: reason => tellClosed(site.failed(now(), reason), site, log),
    slow({ pauseMs, reason, category, host, advice }) {
      const nowMs = now()
      const closed = site.slow(nowMs, nowMs + pauseMs, reason)
      tellClosed(closed, site, log)
      if (closed !== null && category === 'blocked')
        log.event('alarm', { about: category, host, reply: reason, advice }, 'error')
    },
    sent: (source, taken) =>
      void sources
        .sent(source, taken)
        .catch(error => log.event('alarm', { about: 'warm-up', error: String(error) }, 'error')),
  }
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

const SENT_ENOUGH: Verdict = {
  action: 'deferred',
  status: '4.3.2',
  diagnostic: 'The addresses we send from have had their share of today (warm-up in sources.toml)',
}

function noRoute({ status, diagnostic }: { status: string; diagnostic: string }): Verdict {
  return { action: status.startsWith('5') ? 'failed' : 'deferred', status, diagnostic }
}
