/**
 * One attempt at one job: every host of the destination, every address of a host, in order, until each recipient has a
 * verdict that another host would not change (RFC 5321 §5.1).
 */

import { Connection, ConnectionError, type ConnectOptions } from '../net/connection.ts'
import type { Resolver } from '../net/resolver.ts'
import type { Log } from '../observe/event.ts'
import type { Evidence, Job, Queue } from '../queue/queue.ts'
import type { Timeouts } from '../smtp/limits.ts'
import { addressesOf, type MailHost, route } from './destination.ts'
import { evidence, fromConnectionError, settleNext, type Verdict } from './outcome.ts'
import type { Link, Sites } from './site.ts'
import { OPPORTUNISTIC, type TlsPolicy, wishFor } from './tls-policy.ts'
import { transact } from './transaction.ts'

export interface Means {
  readonly queue: Queue
  readonly resolver: Resolver
  readonly sites: Sites
  /** Our name: in EHLO, and what an MX must not be. */
  readonly hostname: string
  readonly smtpPort: number
  readonly connectMs: number
  readonly timeouts: Timeouts
  readonly now: () => number
  readonly random: () => number
  readonly log: Log
}

export interface Judgement {
  readonly index: number
  readonly action: 'delivered' | 'failed' | 'deferred'
  readonly evidence: Evidence
}

/** A verdict and whose it is. */
type Verdicts = Map<number, { readonly verdict: Verdict; readonly remote: string | undefined }>

export async function attempt(job: Job, means: Means): Promise<Judgement[]> {
  const verdicts: Verdicts = new Map()
  await visit(job, means, verdicts)
  const nowMs = means.now()
  return job.recipients.map(index => {
    const { verdict, remote } = verdicts.get(index) ?? { verdict: UNTRIED, remote: undefined }
    const settled = settleNext(verdict)
    const action = settled.action === 'next' ? 'deferred' : settled.action
    return { index, action, evidence: evidence(settled, nowMs, remote) }
  })
}

const UNTRIED: Verdict = {
  action: 'deferred',
  status: '4.4.1',
  diagnostic: 'No host of the destination could be tried',
}

async function visit(job: Job, means: Means, verdicts: Verdicts): Promise<void> {
  const { destination } = job
  const kept = means.sites.take(destination)
  if (kept !== undefined && (await over(kept, job, means, verdicts))) return
  const where = await route(destination, means.resolver, means.hostname, means.random)
  if (where.kind === 'none') return conclude(job, verdicts, noRoute(where))
  for (const host of where.hosts) {
    const found = await addressesOf(host, means.resolver)
    if (found.kind === 'none') {
      conclude(job, verdicts, { action: 'next', status: found.status, diagnostic: found.diagnostic })
      continue
    }
    for (const address of found.addresses) {
      const link = await open(host, address, job, means, verdicts)
      if (link !== null && (await over(link, job, means, verdicts))) return
    }
  }
}

/** A connection as far as EHLO, in clear text where TLS fails and the policy allows that; `null` after noting why not. */
async function open(
  host: MailHost,
  address: string,
  job: Job,
  means: Means,
  verdicts: Verdicts,
): Promise<Link | null> {
  const remote = `${host.name} [${address}]`
  const policy = OPPORTUNISTIC
  try {
    const connection = await connect(host, address, policy, means, job.message.id)
    return { connection, remote, messages: 0, openedMs: means.now() }
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    const { id } = job.message
    means.log.event('attempt', { id, destination: job.destination, remote, failed: error.message })
    conclude(job, verdicts, fromConnectionError(error), remote)
    return null
  }
}

async function connect(
  host: MailHost,
  address: string,
  policy: TlsPolicy,
  means: Means,
  id: string,
): Promise<Connection> {
  const { hostname, smtpPort, connectMs, timeouts } = means
  const options: ConnectOptions = {
    host: address,
    port: smtpPort,
    hostname,
    connectMs,
    timeouts,
    tls: wishFor(policy, host.name),
  }
  try {
    return await Connection.open(options)
  } catch (error) {
    if (!(error instanceof ConnectionError) || error.code !== 'tls' || !policy.clearText) throw error
    const because = `${error.message}; ${policy.reason}`
    means.log.event('attempt', {
      id,
      remote: `${host.name} [${address}]`,
      tls: 'failed, now in clear text',
      because,
    })
    return Connection.open({ ...options, tls: { mode: 'none' } })
  }
}

/** Sends what is still to be sent over the link and gives it back. True when nobody is left for another host. */
async function over(link: Link, job: Job, means: Means, verdicts: Verdicts): Promise<boolean> {
  const { connection, remote } = link
  const { id } = job.message
  const left = job.recipients.filter(index => (verdicts.get(index)?.verdict.action ?? 'next') === 'next')
  const tls = connection.tls === null ? 'none' : `${connection.tls.version} ${connection.tls.cipher}`
  means.log.event('attempt', { id, destination: job.destination, remote, tls, recipients: left.length })
  const results = await transact(connection, job.message, left, await means.queue.content(id))
  for (const [index, verdict] of results) note(verdicts, index, verdict, remote)
  link.messages++
  means.sites.give(job.destination, link, means.now())
  return job.recipients.every(index => (verdicts.get(index)?.verdict.action ?? 'next') !== 'next')
}

/** The same verdict for everybody who has no final one yet. */
function conclude(job: Job, verdicts: Verdicts, verdict: Verdict, remote?: string): void {
  for (const index of job.recipients) note(verdicts, index, verdict, remote)
}

/** One host's "cannot" does not outweigh another's "not now": as long as one may yet take it, the recipient waits. */
function note(verdicts: Verdicts, index: number, verdict: Verdict, remote: string | undefined): void {
  const earlier = verdicts.get(index)?.verdict
  if (earlier !== undefined && earlier.action !== 'next') return
  const waits = earlier !== undefined && settleNext(earlier).action === 'deferred'
  if (waits && verdict.action === 'next' && settleNext(verdict).action === 'failed') return
  verdicts.set(index, { verdict, remote })
}

function noRoute({ status, diagnostic }: { status: string; diagnostic: string }): Verdict {
  return { action: status.startsWith('5') ? 'failed' : 'deferred', status, diagnostic }
}
