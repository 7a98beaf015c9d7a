/**
 * Looks at a key's name, and puts there what is to be there: first at the primary, then at every authoritative server of
 * the zone, last at the relay's resolvers. In this order, so that no resolver is asked, and remembers a "no", before the
 * servers it asks can say yes (RFC 2308 §5).
 */

import type { DnsAnswer, Interpretation } from '../dns/answer.ts'
import { txtText } from '../dns/rdata.ts'
import type { TsigKey } from '../dns/tsig.ts'
import {
  type AuthorityAnswer,
  askAuthorities,
  type FoundAuthorities,
  objections,
} from '../net/authorities.ts'
import type { Endpoint } from '../net/endpoint.ts'
import type { Resolver } from '../net/resolver.ts'
import { type Key, nameOf, type Observation, type Target } from './life-cycle.ts'
import { type PublishOutcome, publishKey, recordAt, sameKeyRecord } from './publish.ts'

/** Where the records of a domain are written and read. */
export interface Place {
  readonly zone: string
  readonly primary: Endpoint
  readonly authorities: FoundAuthorities
}

/** A resolver of the relay, by its address. */
export interface NamedResolver {
  readonly name: string
  readonly resolver: Resolver
}

export interface LookOptions {
  readonly place: Place
  readonly tsigKey: TsigKey
  readonly ttlSeconds: number
  readonly resolvers: readonly NamedResolver[]
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly now?: () => number
  /** As in publish.ts. */
  readonly onStale?: (staleSeconds: number) => void
}

export interface Look {
  readonly observation: Observation
  /** What the primary has done or said. */
  readonly outcome: PublishOutcome['kind']
  /** With a refusal or a failure. */
  readonly code?: string
}

/** Answers of a TXT question, the texts whole. */
type Texts = Exclude<Interpretation<readonly Uint8Array[]>, { kind: 'failure' }>

export async function lookAt(key: Key, target: Target, options: LookOptions): Promise<Look> {
  const { place, tsigKey, ttlSeconds, timeoutMs, signal, now, onStale } = options
  const asking = {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
  }
  const name = nameOf(key)
  const outcome = await publishKey({
    ...place,
    tsigKey,
    name,
    record: key.record,
    target,
    ttlSeconds,
    replaces: key.replaces,
    ...asking,
    ...(now === undefined ? {} : { now }),
    ...(onStale === undefined ? {} : { onStale }),
  })
  const { kind } = outcome
  switch (kind) {
    case 'absent':
      return { outcome: kind, observation: { kind: 'absent', staleSeconds: 0 } }
    case 'conflict':
      return { outcome: kind, observation: { kind: 'conflict', reason: outcome.explanation } }
    case 'refused':
      return {
        outcome: kind,
        code: outcome.code,
        observation: { kind: 'unknown', reason: outcome.explanation },
      }
    case 'failure':
      return { outcome: kind, code: outcome.code, observation: { kind: 'unknown', reason: outcome.reason } }
  }
  // Where nothing or no key is to be, it is enough that the primary says so: nobody signs with it.
  if (target === 'nothing') return { outcome: kind, observation: { kind: 'absent', staleSeconds: 0 } }
  if (target === 'revoked') return { outcome: kind, observation: { kind: 'served', objection: null } }
  const wanted = recordAt(target, key.record) ?? ''
  const answers = await askAuthorities(place.authorities, name, 'TXT', asking)
  const different = objections(answers, answer => differs(answer, wanted))
  if (different.length > 0) {
    const observation = observationOf(different, answers, wanted)
    return { outcome: kind, observation }
  }
  return { outcome: kind, observation: await askResolvers(name, wanted, options.resolvers) }
}

/** A server that does not answer is no server that has it: but nor is it known to have anything else. */
function observationOf(
  different: readonly string[],
  answers: readonly AuthorityAnswer<readonly Uint8Array[]>[],
  wanted: string,
): Observation {
  const reason = different.join('; ')
  const stale = answers.flatMap(({ answer }) =>
    answer.kind !== 'failure' && differs(answer, wanted) !== null ? [answer.ttlSeconds] : [],
  )
  return stale.length === 0
    ? { kind: 'unknown', reason, placed: true }
    : { kind: 'partly', reason, staleSeconds: Math.max(...stale) }
}

function differs(answer: Texts, wanted: string): string | null {
  return objection(
    answer.kind === 'answer' ? answer.records.map(txtText) : answer.kind,
    answer.ttlSeconds,
    wanted,
  )
}

/** One resolver that has something else is enough to wait for; one that is down is no reason, unless all are. */
async function askResolvers(
  name: string,
  wanted: string,
  resolvers: readonly NamedResolver[],
): Promise<Observation> {
  const answers = await Promise.all(
    resolvers.map(async each => ({ who: each.name, answer: await each.resolver.txt(name, { fresh: true }) })),
  )
  for (const { who, answer } of answers) {
    const wrong = answer.kind === 'failure' ? null : textsDiffer(answer, wanted)
    if (wrong !== null) return { kind: 'served', objection: `the resolver ${who} ${wrong}` }
  }
  const silent = answers.flatMap(({ who, answer }) =>
    answer.kind === 'failure' ? [`${who}: ${answer.reason}`] : [],
  )
  return silent.length > 0 && silent.length === answers.length
    ? { kind: 'unknown', reason: `no resolver answers: ${silent.join('; ')}`, placed: true }
    : { kind: 'served', objection: null }
}

function textsDiffer(answer: Exclude<DnsAnswer<string>, { kind: 'failure' }>, wanted: string): string | null {
  return objection(answer.kind === 'answer' ? answer.records : answer.kind, answer.ttlSeconds, wanted)
}

function objection(
  found: readonly string[] | 'nodata' | 'nxdomain' | 'alias',
  ttlSeconds: number,
  wanted: string,
): string | null {
  if (typeof found === 'object') {
    const [value, ...others] = found
    if (value !== undefined && others.length === 0 && sameKeyRecord(value, wanted)) return null
  }
  const seen =
    typeof found === 'object' ? 'another record' : found === 'nxdomain' ? 'no such name' : 'no TXT record'
  return `still has ${seen}, and others may remember that for ${ttlSeconds} s`
}
