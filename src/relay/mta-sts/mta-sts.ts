/**
 * Which MTA-STS policy of a domain is in force, RFC 8461: what it published, what we have of it on disk, and when either is
 * looked at. A policy stays in force to its max_age whatever becomes of DNS and of the web server; one that cannot be had for
 * the first time is none.
 */

import type { Resolver } from '../../net/resolver.ts'
import { Gate } from '../../net/resolver-servers.ts'
import type { Log } from '../../observe/event.ts'
import type { Shelf } from '../../queue/shelf.ts'
import { isDomain, normalizeDomain } from '../../smtp/domain.ts'
import { type CachedPolicy, PolicyCache } from './cache.ts'
import type { Fetched, FetchPolicy, StsFailure } from './fetch.ts'
import { parseStsRecord } from './policy.ts'

export type StsAnswer =
  /** Mail goes as if there were no MTA-STS. With `failure` there should be a policy, which is something to report (§6). */
  | { readonly kind: 'none'; readonly reason: string; readonly failure?: StsFailure }
  /**
   * In force. Its mode may be `none` (§8.3). With `stale` it could not be seen whether there is another by now, which is
   * something to report (§6).
   */
  | ({ readonly kind: 'policy'; readonly stale?: StsFailure } & CachedPolicy)

export interface MtaStsOptions {
  readonly resolver: Pick<Resolver, 'txt'>
  readonly shelf: Shelf
  readonly fetch: FetchPolicy
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly log: Log
}

/** §3.3 wants five minutes at least; twice as long after each failure, up to the second. */
const PAUSE_MS = 10 * 60_000
const LONGEST_PAUSE_MS = 60 * 60_000
/** §3.3: "a suggested refresh frequency is once per day". */
const REFRESH_MS = 24 * 60 * 60_000
const REFRESHED_AT_ONCE = 8
const MAX_FAILURES_KEPT = 10_000

/** The last fetch of a domain's policy failed. */
interface Failing {
  /** Another id may be tried at once (§3.3). */
  readonly id: string
  readonly times: number
  readonly retryMs: number
  readonly failure: StsFailure
}

export class MtaSts {
  readonly #options: MtaStsOptions
  readonly #cache: PolicyCache
  readonly #failing = new Map<string, Failing>()
  readonly #asking = new Map<string, Promise<StsAnswer>>()
  readonly #fetching = new Map<string, Promise<CachedPolicy | StsFailure>>()
  readonly #closing = new AbortController()
  #refreshing = false

  constructor(options: MtaStsOptions) {
    this.#options = options
    this.#cache = new PolicyCache(options.shelf, options.now)
  }

  /**
   * Takes as long as a question to DNS, and where there is a policy that we do not have yet, up to a minute more.
   *
   * @param domain the next-hop domain (§3.4); an address literal has no policy
   * @throws what the shelf throws, and after `close`: nobody knows then whether a policy is in force, and mail has to wait
   */
  policyFor(domain: string): Promise<StsAnswer> {
    if (!isDomain(domain, { utf8: true }))
      return Promise.resolve({ kind: 'none', reason: 'only domain names have MTA-STS policies' })
    const name = normalizeDomain(domain)
    return shared(this.#asking, name, () => this.#answer(name))
  }

  /**
   * Fetches policies again before they are over: whoever wants a domain without one has to be in the way all the time, and
   * not only on the last day (§10.2). Those of domains that there was mail for within thirty days, a day after they were fetched or
   * after half of their max_age. Call it every few minutes; while it is at it another call does nothing.
   *
   * @throws what the shelf throws
   */
  async refresh(nowMs: number): Promise<void> {
    if (this.#refreshing) return
    this.#refreshing = true
    try {
      const gate = new Gate(REFRESHED_AT_ONCE)
      const due: [domain: string, policy: CachedPolicy][] = []
      for await (const [domain, policy] of this.#cache.list()) {
        // §8.3: a domain that wants none any more may take everything away.
        if (policy.mode === 'none' || policy.refreshMs > nowMs) continue
        if (await this.#cache.isUsed(domain)) due.push([domain, policy])
      }
      await Promise.all(due.map(([domain, policy]) => gate.run(() => this.#renew(domain, policy))))
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error
    } finally {
      this.#refreshing = false
    }
  }

  /** What is under way ends without an answer. */
  close(): void {
    this.#closing.abort(new Error('the relay is stopping: no MTA-STS policy is looked for'))
  }

  /** §5.1, and §3.3: what counts where the two sides of discovery do not agree. */
  async #answer(domain: string): Promise<StsAnswer> {
    const cached = await this.#cache.get(domain)
    const found = await this.#record(domain)
    if (cached !== null) await this.#cache.use(domain)
    // §3.1: no usable record "is not by itself sufficient to remove" a policy.
    if (found.kind === 'none') {
      if (cached === null) return found
      return this.#inForce(cached, { resultType: 'sts-policy-fetch-error', reason: found.reason })
    }
    if (cached !== null && cached.id === found.id) {
      const failing = this.#failing.get(domain)
      return this.#inForce(cached, failing?.id === found.id ? failing.failure : undefined)
    }
    const fetched = await this.#fetch(domain, found.id, cached)
    if ('mode' in fetched) {
      await this.#cache.use(domain)
      return this.#inForce(fetched)
    }
    if (cached !== null && cached.untilMs > this.#options.now()) return this.#inForce(cached, fetched)
    return { kind: 'none', reason: fetched.reason, failure: fetched }
  }

  #inForce(policy: CachedPolicy, stale?: StsFailure): StsAnswer {
    // §6: failures are no news where the mode is none.
    const said = stale === undefined || policy.mode === 'none' ? {} : { stale }
    return { kind: 'policy', ...policy, ...said }
  }

  /** The resolver remembers for as long as the TTL says. */
  async #record(domain: string): Promise<ReturnType<typeof parseStsRecord>> {
    const name = `_mta-sts.${domain}`
    const answer = await this.#options.resolver.txt(name)
    this.#closing.signal.throwIfAborted()
    switch (answer.kind) {
      case 'answer':
        return parseStsRecord(answer.records)
      case 'failure':
        return { kind: 'none', reason: `TXT of ${name}: ${answer.code}, ${answer.reason}` }
      case 'nodata':
      case 'nxdomain':
        return { kind: 'none', reason: `${name} has no TXT record` }
      default:
        return answer satisfies never
    }
  }

  /** §10.2: "regardless of the state of the '_mta-sts' TXT record". */
  async #renew(domain: string, policy: CachedPolicy): Promise<void> {
    const found = await this.#record(domain)
    await this.#fetch(domain, found.kind === 'record' ? found.id : policy.id, policy)
  }

  /** One that failed lately is not asked again for the same id. */
  #fetch(domain: string, id: string, before: CachedPolicy | null): Promise<CachedPolicy | StsFailure> {
    const failing = this.#failing.get(domain)
    if (failing?.id === id && this.#options.now() < failing.retryMs) return Promise.resolve(failing.failure)
    return shared(this.#fetching, `${domain} ${id}`, async () => {
      const fetched = await this.#options.fetch(domain, this.#closing.signal)
      this.#closing.signal.throwIfAborted()
      return fetched.kind === 'policy'
        ? this.#keep(domain, id, fetched, before)
        : this.#fail(domain, id, fetched, before)
    })
  }

  async #keep(
    domain: string,
    id: string,
    { policy }: Extract<Fetched, { kind: 'policy' }>,
    before: CachedPolicy | null,
  ): Promise<CachedPolicy> {
    const { now, random, log } = this.#options
    const { mode, mx, maxAgeSeconds } = policy
    const fetchedMs = now()
    // Up to a quarter sooner: domains that were all fetched after one start need not all be fetched at once a day later.
    const refreshMs = Math.min(REFRESH_MS, maxAgeSeconds * 500) * (1 - random() / 4)
    const kept = {
      ...{ ...policy, id, fetchedMs },
      untilMs: fetchedMs + maxAgeSeconds * 1000,
      refreshMs: Math.round(fetchedMs + refreshMs),
    }
    this.#failing.delete(domain)
    const isNew = before === null || before.id !== id || before.mode !== mode || `${before.mx}` !== `${mx}`
    const until = new Date(kept.untilMs).toISOString()
    const fields = { about: 'MTA-STS', domain, mode, mx: mx.slice(0, 20), policy_id: id, until }
    log.event('policy', fields, isNew ? 'info' : 'debug')
    await this.#cache.put(domain, kept)
    return kept
  }

  #fail(
    domain: string,
    id: string,
    { resultType, reason }: StsFailure,
    before: CachedPolicy | null,
  ): StsFailure {
    const { now, log } = this.#options
    const failure = { resultType, reason }
    const known = this.#failing.get(domain)
    const times = known?.id === id ? known.times + 1 : 1
    const pauseMs = Math.min(PAUSE_MS * 2 ** (times - 1), LONGEST_PAUSE_MS)
    this.#failing.delete(domain)
    this.#failing.set(domain, { id, times, retryMs: now() + pauseMs, failure })
    const [oldest] = this.#failing.keys()
    if (this.#failing.size > MAX_FAILURES_KEPT && oldest !== undefined) this.#failing.delete(oldest)
    // §10.2: somebody may be in the way, and there is time until then; but not where the domain wants none any more.
    const until = before === null ? undefined : new Date(before.untilMs).toISOString()
    const fields = { about: 'MTA-STS', domain, result: resultType, reason, times, retry_ms: pauseMs }
    const isAlarming = before !== null && before.mode !== 'none'
    log.event('policy', { ...fields, mode: before?.mode, until }, isAlarming ? 'warn' : 'info')
    return failure
  }
}

/** Who asks for what is being asked for already gets the same answer. */
function shared<T>(underWay: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const known = underWay.get(key)
  if (known !== undefined) return known
  const asked = ask().finally(() => underWay.delete(key))
  underWay.set(key, asked)
  return asked
}
