/**
 * A visit at a site: every host, every address of a host, in order, until each recipient has a verdict that another host
 * would not change (RFC 5321 §5.1). What to do is data, and so is what came of it; what is seen of the site is told as it is
 * seen (`SiteNotes`), for a visit may be made by another process than the one that knows the site.
 */

import type { Category, ReplyRule } from '../config/replies.ts'
import { saysTlsNotRequired } from '../message/tls-required.ts'
import type { Log } from '../observe/event.ts'
import type { Job, StoredContent } from '../queue/queue.ts'
import { domainOf, type MailHost, namesOf } from './destination.ts'
import type { StsAnswer } from './mta-sts/mta-sts.ts'
import { inThisLight, type Verdict, type Where } from './outcome.ts'
import { type Miss, Reach, type Reaching } from './reach/reach.ts'
import type { Source } from './reach/source.ts'
import { classify } from './replies.ts'
import type { SignatureCheck } from './signature-check.ts'
import type { Link, Links } from './site/links.ts'
import type { Shape } from './site/shape.ts'
import { objectionToHost, objectionToPeer, type TlsPolicy, waiverOf } from './tls-policy.ts'
import { transact } from './transaction.ts'
import { type Judgement, Verdicts } from './verdicts.ts'

/** Nothing but data. */
export interface Errand {
  readonly job: Job
  readonly hosts: readonly MailHost[]
  readonly policy: TlsPolicy
  readonly sts: StsAnswer | null
  readonly source: Source
  readonly site: { readonly key: string; readonly shape: Shape }
}

/** What is seen of the site. */
export interface SiteNotes {
  /** A connection is begun. */
  connecting(): void
  /** A host took part in a transaction, whatever it said of the message. */
  succeeded(): void
  /** No host could be spoken to. */
  failed(reason: string): void
  /** A host has asked us to wait, or turns us away. */
  slow(said: Slow): void
  /** A message was given to somebody, who took it for so many recipients. */
  sent(source: Source, taken: number): void
}

export interface Slow {
  readonly pauseMs: number
  readonly reason: string
  readonly category: Category
  readonly host: string
  readonly advice: string | undefined
}

export interface VisitMeans extends Reaching {
  /** Whether what we send can be verified; nobody asks when it is not there. */
  readonly signatures?: Pick<SignatureCheck, 'objection'>
  /** What replies mean beyond their codes. */
  readonly replies: readonly ReplyRule[]
  readonly log: Log
}

interface Visit {
  readonly errand: Errand
  readonly content: StoredContent
  /** Of the site, as far as they are this process's. */
  readonly links: Links
  readonly notes: SiteNotes
  readonly means: VisitMeans
  readonly verdicts: Verdicts
  readonly log: Log
}

export async function visit(
  errand: Errand,
  content: StoredContent,
  links: Links,
  notes: SiteNotes,
  means: VisitMeans,
): Promise<Judgement[]> {
  const { job } = errand
  const log = means.log.with({ id: job.message.id, destination: job.destination })
  const verdicts = new Verdicts(job)
  await goThere({ errand, content, links, notes, means, verdicts, log })
  const nowMs = means.now()
  return job.recipients.map(index => verdicts.judge(index, nowMs))
}

async function goThere(visit: Visit): Promise<void> {
  const { errand, content, links, notes, means, verdicts, log } = visit
  const { job, hosts, policy, sts, source, site } = errand
  const unverifiable = await means.signatures?.objection(job.message.id, content)
  if (unverifiable) return verdicts.conclude(held(unverifiable), { site: site.key })
  const kept = links.take(link => fits(link, errand, means))
  if (kept !== undefined) await over(kept, verdicts.left, visit)
  const miss = ({ host, remote, verdict, silent }: Miss) => {
    if (remote !== undefined)
      log.event('attempt', { remote, failed: verdict.diagnostic, ...policyFields(policy) })
    if (silent) verdicts.unanswered(`${remote}: ${verdict.diagnostic}`)
    const where = { ...from(errand), ...(remote === undefined ? {} : { remote }) }
    verdicts.conclude(inTheLightOfRules(verdict, host, visit), where)
  }
  const domain = domainOf(job.destination)
  const waives = waiverOf(job.message, policy, () => saysTlsNotRequired([content.start]))
  const reach = new Reach(
    { hosts, domain, policy, waives, sts, id: job.message.id, source },
    means,
    miss,
    log,
  )
  while (verdicts.left.length > 0) {
    const link = await reach.next(() => notes.connecting())
    if (link === null) break
    await session(link, reach, visit)
  }
  const { unreachable } = verdicts
  if (unreachable !== null) notes.failed(unreachable)
}

/** Over one link, and as many more to the same address as are needed: a peer may take few transactions in one (RFC 9422). */
async function session(link: Link, reach: Reach, visit: Visit): Promise<void> {
  const { notes, verdicts } = visit
  let left = await over(link, verdicts.left, visit)
  while (left.length > 0) {
    reach.again(link)
    const another = await reach.next(() => notes.connecting())
    if (another === null) return
    left = await over(another, left, visit)
  }
}

/** Whether an open connection is one that these hosts, this policy and this source would lead to, and no lesser one. */
function fits(link: Link, errand: Errand, { now }: Pick<VisitMeans, 'now'>): boolean {
  const { hosts, job } = errand
  const { candidate, connection, policy, source } = link
  if (
    candidate.waived ||
    policy.level !== errand.policy.level ||
    policy.reason !== errand.policy.reason ||
    source.name !== errand.source.name
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
  if (objectionToHost(errand.policy, host) !== null) return false
  // With DANE-TA the certificate may be for the domain that the connection was opened for, and not for this one.
  const names = namesOf(host, domainOf(job.destination))
  return objectionToPeer(candidate.policy, connection, names, now()) === null
}

/** Sends over the link and gives it back. Returns those whom the session had no transaction left for. */
async function over(link: Link, recipients: readonly number[], visit: Visit): Promise<readonly number[]> {
  const { errand, content, links, notes, means, verdicts, log } = visit
  const { job, site } = errand
  const { remote, candidate } = link
  const tls = protection(link)
  log.event('attempt', { remote, tls, recipients: recipients.length, ...policyFields(candidate.policy) })
  const { level, reason } = candidate.policy
  const asked = level === 'opportunistic' ? {} : { policy: reason }
  const where = { ...from(errand), remote, tls, ...asked }
  const most = site.shape.recipientsPerTransaction
  const { now } = means
  const results = await transact(link, job.message, recipients, content, most, { now, log })
  for (const [index, verdict] of results)
    verdicts.note(index, inTheLightOfRules(verdict, link.candidate.host.name, visit), where)
  if (link.connection.usable) {
    verdicts.reached()
    notes.succeeded()
  }
  link.messages++
  const taken = [...results.values()].filter(({ action }) => action === 'delivered').length
  notes.sent(link.source, taken)
  links.give(link, means.now())
  return recipients.filter(index => !results.has(index))
}

function from({ site, source }: Errand): Where {
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
function inTheLightOfRules(verdict: Verdict, host: string, { means, notes }: Visit): Verdict {
  const { reply, diagnostic: reason } = verdict
  if (reply === undefined || verdict.action === 'delivered') return verdict
  const said = classify(means.replies, reply, host)
  const { category, pauseMs, rule } = said
  if (pauseMs !== null) notes.slow({ pauseMs, reason, category, host, advice: rule?.advice })
  return inThisLight(verdict, said)
}

/** In the log where it is not what holds for everybody. */
function policyFields({ level, reason }: TlsPolicy): { policy?: string; because?: string } {
  return level === 'opportunistic' ? {} : { policy: level, because: reason }
}

function held(reason: string): Verdict {
  const diagnostic = `Held: the signature does not verify with the key that our resolver sees: ${reason}`
  return { action: 'deferred', status: '4.7.7', diagnostic, category: 'signature' }
}
