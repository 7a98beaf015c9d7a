/**
 * A stub resolver: asks the recursive servers it is given, and remembers. Ours because mail needs what the
 * platform's hides: the AD bit, TTLs, and NXDOMAIN (bounce) told apart from SERVFAIL and time-out (defer).
 * RFC 1034 §5.3.1, RFC 2308, RFC 4035 §4.9, RFC 5452, RFC 6891, RFC 7766, RFC 9520.
 */

import { type DnsAnswer, type DnsFailure, type Interpretation, interpret } from '../dns/answer.ts'
import { AnswerCache } from '../dns/cache.ts'
import type { Question } from '../dns/message.ts'
import { canonicalName } from '../dns/name.ts'
import { type KnownData, type Mx, type RecordType, txtText } from '../dns/rdata.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { ask, secureRandom } from './resolver-exchange.ts'
import { Gate, ServerOrder } from './resolver-servers.ts'

export type { DnsAnswer, DnsFailure, FailureCode } from '../dns/answer.ts'
export type { RecordType } from '../dns/rdata.ts'

export interface ResolverOptions {
  /** Asked in this order; one that was silent lately comes last for a while. */
  readonly servers: readonly Endpoint[]
  /** Of one try. RFC 9520 §3.1 expects 3 s or more. */
  readonly timeoutMs?: number
  /** Tries per server; RFC 9520 §3.1 allows three. */
  readonly attempts?: number
  readonly maxEntries?: number
  /** 0 ≤ x < 1, for message ids. */
  readonly random?: () => number
  /** Milliseconds that only grow. */
  readonly now?: () => number
}

export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

export interface QueryOptions {
  /** Do not answer from memory: what was published a moment ago is looked for. */
  readonly fresh?: boolean
}

const MAX_IN_FLIGHT = 256

export class Resolver {
  readonly #servers: ServerOrder
  readonly #timeoutMs: number
  readonly #attempts: number
  readonly #cache: AnswerCache
  readonly #random: () => number
  readonly #now: () => number
  readonly #gate = new Gate(MAX_IN_FLIGHT)
  readonly #inFlight = new Map<string, Promise<DnsAnswer<unknown>>>()
  readonly #closing = new AbortController()

  constructor(options: ResolverOptions) {
    if (options.servers.length === 0) throw new RangeError('a resolver needs at least one server')
    this.#servers = new ServerOrder(options.servers)
    this.#timeoutMs = options.timeoutMs ?? 3000
    this.#attempts = options.attempts ?? 2
    this.#cache = new AnswerCache(options.maxEntries ?? 10_000)
    this.#random = options.random ?? secureRandom
    this.#now = options.now ?? (() => performance.now())
  }

  /** Never rejects. CNAMEs are followed; `name` in the answer is where they led. */
  async query<T extends RecordType>(
    name: string,
    type: T,
    options: QueryOptions = {},
  ): Promise<DnsAnswer<KnownData[T]>> {
    let key: string
    try {
      key = canonicalName(name)
    } catch (error) {
      return { kind: 'failure', code: 'NAME', reason: (error as Error).message }
    }
    if (options.fresh) return this.#ask(key, type)
    const known = this.#cache.get(key, type, this.#now())
    if (known !== undefined) return known as DnsAnswer<KnownData[T]>
    // RFC 5452 §5: one question outstanding at a time, or a forger has a birthday.
    const shared = this.#inFlight.get(`${key} ${type}`)
    if (shared !== undefined) return shared as Promise<DnsAnswer<KnownData[T]>>
    const asking = this.#ask(key, type)
    this.#inFlight.set(`${key} ${type}`, asking)
    try {
      return await asking
    } finally {
      this.#inFlight.delete(`${key} ${type}`)
    }
  }

  /** For `mailHosts` of dns/mx.ts, which knows the null MX and the implicit one. */
  mx(domain: string): Promise<DnsAnswer<Mx>> {
    return this.query(domain, 'MX')
  }

  /**
   * IPv6 first, in the order the server gave. One family is enough for an answer, whatever became of the
   * other.
   */
  async addresses(host: string): Promise<DnsAnswer<Address>> {
    const [aaaa, a] = await Promise.all([this.query(host, 'AAAA'), this.query(host, 'A')])
    if (aaaa.kind !== 'answer' && a.kind !== 'answer') {
      if (aaaa.kind === 'failure') return aaaa
      if (a.kind === 'failure') return a
      // Both say the same unless the name came or went between the two.
      return aaaa.kind === 'nodata' ? aaaa : a
    }
    const found = [aaaa, a].filter(answer => answer.kind === 'answer')
    const family6 =
      aaaa.kind === 'answer' ? aaaa.records.map(address => ({ address, family: 6 as const })) : []
    const family4 = a.kind === 'answer' ? a.records.map(address => ({ address, family: 4 as const })) : []
    return {
      kind: 'answer',
      records: [...family6, ...family4],
      ttlSeconds: Math.min(...found.map(answer => answer.ttlSeconds)),
      authenticated: found.every(answer => answer.authenticated),
      name: found[0]?.name ?? host,
    }
  }

  /** The strings of each record joined. */
  async txt(name: string, options: QueryOptions = {}): Promise<DnsAnswer<string>> {
    const answer = await this.query(name, 'TXT', options)
    return answer.kind === 'answer' ? { ...answer, records: answer.records.map(txtText) } : answer
  }

  /** Questions under way end as failures. */
  close(): void {
    this.#closing.abort()
    this.#cache.clear()
  }

  /**
   * Asks, follows CNAMEs that lead out of a response, and remembers what came of it under the name asked for.
   */
  async #ask<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<KnownData[T]>> {
    let question = { name, type, class: 'IN' as const }
    let followed = 0
    let ttlSeconds = Number.MAX_SAFE_INTEGER
    let authenticated = true
    for (;;) {
      const found = await this.#askServers(question, followed)
      if (found.kind !== 'alias') {
        const answer =
          found.kind === 'failure'
            ? found
            : {
                ...found,
                ttlSeconds: Math.min(found.ttlSeconds, ttlSeconds),
                authenticated: found.authenticated && authenticated,
              }
        if (!this.#closing.signal.aborted) this.#cache.put(name, type, answer, this.#now())
        return answer
      }
      ttlSeconds = Math.min(ttlSeconds, found.ttlSeconds)
      authenticated &&= found.authenticated
      followed = found.followed
      question = { ...question, name: found.name }
    }
  }

  /** Every server in turn until one knows; those that were silent once more. */
  async #askServers<T extends RecordType>(
    question: Question & { readonly type: T },
    followed: number,
  ): Promise<Interpretation<KnownData[T]>> {
    let failure: DnsFailure | undefined
    let candidates = this.#servers.order(this.#now())
    for (let attempt = 0; attempt < this.#attempts; attempt++) {
      const silent: Endpoint[] = []
      for (const server of candidates) {
        const found = await this.#gate.run(() => this.#askServer(server, question, followed))
        if (found.kind !== 'failure' || found.code === 'CNAME' || found.code === 'CLOSED') return found
        if (isSilence(found)) silent.push(server)
        if (failure === undefined || weight(found) > weight(failure)) failure = found
      }
      candidates = silent
    }
    return failure ?? { kind: 'failure', code: 'TIMEOUT', reason: `${question.name}: no server was asked` }
  }

  async #askServer<T extends RecordType>(
    server: Endpoint,
    question: Question & { readonly type: T },
    followed: number,
  ): Promise<Interpretation<KnownData[T]>> {
    const exchange = await ask(server, question, {
      transport: 'udp',
      recursive: true,
      timeoutMs: this.#timeoutMs,
      random: this.#random,
      signal: this.#closing.signal,
    })
    if (exchange.kind === 'failure') {
      if (exchange.code !== 'CLOSED') this.#servers.silent(server, this.#now())
      return exchange
    }
    this.#servers.answered(server)
    const found = interpret(question, exchange.value, followed)
    return found.kind === 'failure'
      ? { ...found, reason: `${formatEndpoint(server)}: ${found.reason}` }
      : found
  }
}

function isSilence({ code }: DnsFailure): boolean {
  return code === 'TIMEOUT' || code === 'NETWORK' || code === 'NOROUTE'
}

/** Of several failures the one that says most is reported: an RCODE, then silence, then no way there. */
function weight(failure: DnsFailure): number {
  if (failure.code === 'NETWORK' || failure.code === 'NOROUTE') return 0
  return failure.code === 'TIMEOUT' ? 1 : 2
}
