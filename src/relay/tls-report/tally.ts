/**
 * Sessions of one domain and day, counted by policy, and failures by all that is known of them (RFC 8460 §4, "Aggregate
 * counts"). It does not grow without end: what would make it too large is counted without its particulars.
 */

import type { Json } from '../../queue/shelf.ts'
import {
  countedFailure,
  countedPolicy,
  FAILURE_TYPES,
  type Failure,
  type Outcome,
  POLICY_TYPES,
  type Policy,
} from './outcome.ts'

export interface FailureCount {
  readonly failure: Failure
  readonly sessions: number
}

export interface PolicyCount {
  readonly policy: Required<Policy>
  readonly succeeded: number
  readonly failures: readonly FailureCount[]
}

/** Policies that are told apart in a report, and failures in each of them. */
const MAX_POLICIES = 100
const MAX_FAILURES = 100

interface Counting {
  readonly policy: Required<Policy>
  succeeded: number
  readonly failures: Map<string, { readonly failure: Failure; sessions: number }>
}

export class Tally {
  readonly domain: string
  readonly #policies = new Map<string, Counting>()

  constructor(domain: string) {
    this.domain = domain
  }

  note({ policy, result }: Pick<Outcome, 'policy' | 'result'>): void {
    const counting = this.#of(countedPolicy(this.domain, policy))
    if (result === 'success') counting.succeeded++
    else count(counting, countedFailure(result), 1)
  }

  add(counts: readonly PolicyCount[]): void {
    for (const { policy, succeeded, failures } of counts) {
      const counting = this.#of(policy)
      counting.succeeded += succeeded
      for (const { failure, sessions } of failures) count(counting, failure, sessions)
    }
  }

  /** In the order in which they were first seen. */
  counts(): PolicyCount[] {
    return [...this.#policies.values()].map(({ policy, succeeded, failures }) => ({
      policy,
      succeeded,
      failures: [...failures.values()].map(({ failure, sessions }) => ({ failure, sessions })),
    }))
  }

  #of(policy: Required<Policy>): Counting {
    const key = JSON.stringify(policy)
    const known = this.#policies.get(key)
    if (known !== undefined) return known
    // What is left of it has no more than one entry a type.
    const coarse = { type: policy.type, domain: this.domain, strings: [], mxHosts: [] }
    if (this.#policies.size >= MAX_POLICIES && JSON.stringify(coarse) !== key) return this.#of(coarse)
    const counting = { policy, succeeded: 0, failures: new Map() }
    this.#policies.set(key, counting)
    return counting
  }
}

function count(counting: Counting, failure: Failure, sessions: number): void {
  const { failures } = counting
  const key = JSON.stringify(failure)
  const known = failures.get(key)
  const coarse = { type: failure.type }
  if (known !== undefined) known.sessions += sessions
  else if (failures.size < MAX_FAILURES || JSON.stringify(coarse) === key)
    failures.set(key, { failure, sessions })
  else count(counting, coarse, sessions)
}

/** For the shelf. */
export function toJson(counts: readonly PolicyCount[]): Json {
  return counts.map(({ policy, succeeded, failures }) => ({
    policy: { ...policy },
    succeeded,
    failures: failures.map(({ failure, sessions }) => ({ failure: { ...failure }, sessions })),
  }))
}

/** What is not of ours, an earlier version's for example, is passed over. */
export function fromJson(value: Json): PolicyCount[] {
  if (!Array.isArray(value)) return []
  return value.flatMap(one => {
    const { policy, succeeded, failures } = record(one)
    const { type, domain, strings, mxHosts } = record(policy)
    const known = POLICY_TYPES.find(name => name === type)
    if (known === undefined || typeof domain !== 'string' || typeof succeeded !== 'number') return []
    return [
      {
        policy: { type: known, domain, strings: texts(strings), mxHosts: texts(mxHosts) },
        succeeded,
        failures: Array.isArray(failures) ? failures.flatMap(failureOf) : [],
      },
    ]
  })
}

function failureOf(value: unknown): FailureCount[] {
  const { failure, sessions } = record(value)
  const { type, reason, sendingIp, receivingIp, receivingMx, receivingHelo } = record(failure)
  const known = FAILURE_TYPES.find(name => name === type)
  if (known === undefined || typeof sessions !== 'number') return []
  const kept = { reason, sendingIp, receivingIp, receivingMx, receivingHelo }
  const said = Object.fromEntries(Object.entries(kept).filter(([, text]) => typeof text === 'string'))
  return [{ failure: { type: known, ...said }, sessions }]
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(text => typeof text === 'string') : []
}
