/**
 * check_host() of RFC 7208 §4, for two questions of an operator: may this address send for this domain, and how
 * many lookups does the record cost whoever asks (§4.6.4)? The DNS is given as functions.
 */

import { digits, type IpAddress, inPrefix, parseAddress } from './address.ts'
import type { DnsAnswer } from './answer.ts'
import { isSpf, type Mechanism, parseSpf, type Qualifier, SpfError, type SpfRecord } from './spf.ts'

export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'permerror' | 'temperror'

export interface SpfLookups {
  /** The strings of each record joined. */
  txt(name: string): Promise<DnsAnswer<string>>
  addresses(name: string, family: 4 | 6): Promise<DnsAnswer<string>>
  /** The hosts of its MX records. */
  mx(name: string): Promise<DnsAnswer<string>>
}

export interface SpfQuestion {
  readonly address: IpAddress
  readonly domain: string
  readonly helo: string
  /** Go through the whole record although the address may match early: what the dearest check costs. */
  readonly exhaustive?: boolean
}

export interface SpfFinding {
  readonly result: SpfResult
  /** Terms that need the DNS, of this record and those it includes; over 10 are a permanent error (§4.6.4). */
  readonly lookups: number
  /** What matched, or what is wrong. */
  readonly reason: string
}

export const MAX_SPF_LOOKUPS = 10
/** §4.6.4: names that do not exist; receivers may be stricter or not count them. */
const MAX_VOID_LOOKUPS = 2
/** Where all are counted, an end must come nevertheless. */
const MAX_COUNTED = 40

const RESULTS: Readonly<Record<Qualifier, SpfResult>> = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
}

/** Never rejects. */
export async function checkHost(question: SpfQuestion, lookups: SpfLookups): Promise<SpfFinding> {
  const check = new Check(question, lookups)
  try {
    const { result, reason } = await check.evaluate(question.domain)
    return { result, reason, lookups: check.lookups }
  } catch (error) {
    if (error instanceof SpfError)
      return { result: 'permerror', reason: error.message, lookups: check.lookups }
    if (error instanceof Temporary)
      return { result: 'temperror', reason: error.message, lookups: check.lookups }
    throw error
  }
}

class Temporary extends Error {}

class Check {
  lookups = 0
  #void = 0
  readonly #question: SpfQuestion
  readonly #dns: SpfLookups

  constructor(question: SpfQuestion, dns: SpfLookups) {
    this.#question = question
    this.#dns = dns
  }

  async evaluate(domain: string): Promise<{ result: SpfResult; reason: string }> {
    const record = await this.#record(domain)
    if (record === null) return { result: 'none', reason: `${domain} has no SPF record` }
    const hasAll = record.mechanisms.some(({ name }) => name === 'all')
    for (const mechanism of record.mechanisms) {
      const matches = await this.#matches(mechanism, domain)
      if (matches && (!this.#question.exhaustive || mechanism.name === 'all'))
        return { result: RESULTS[mechanism.qualifier], reason: `${mechanism.name} of ${domain}` }
    }
    // §6.1: redirect counts only where nothing matched and there is no all.
    if (record.redirect === null || hasAll)
      return { result: 'neutral', reason: `nothing of ${domain} matches` }
    this.#count()
    const found = await this.evaluate(this.#expand(record.redirect, domain))
    if (found.result === 'none') throw new SpfError(`redirect=${record.redirect}: ${found.reason}`)
    return found
  }

  async #record(domain: string): Promise<SpfRecord | null> {
    const records = (await this.#records(this.#dns.txt(domain), false)).filter(isSpf)
    // §4.5: more than one is an error for all who check.
    if (records.length > 1) throw new SpfError(`${domain} has ${records.length} SPF records`)
    const [text] = records
    try {
      return text === undefined ? null : parseSpf(text)
    } catch (error) {
      throw error instanceof SpfError ? new SpfError(`the SPF record of ${domain}: ${error.message}`) : error
    }
  }

  async #matches(mechanism: Mechanism, domain: string): Promise<boolean> {
    const { address } = this.#question
    if (mechanism.name === 'all') return true
    if ('address' in mechanism) return inPrefix(address, mechanism.address, mechanism.prefix)
    this.#count()
    const target = mechanism.domainSpec === '' ? domain : this.#expand(mechanism.domainSpec, domain)
    switch (mechanism.name) {
      case 'include': {
        const { result, reason } = await this.evaluate(target)
        // §5.2.
        if (result === 'none') throw new SpfError(`include:${mechanism.domainSpec}: ${reason}`)
        return result === 'pass'
      }
      case 'exists':
        return (await this.#records(this.#dns.addresses(target, 4))).length > 0
      case 'a':
        return this.#hasAddress(target, mechanism)
      case 'mx': {
        const hosts = await this.#records(this.#dns.mx(target))
        if (hosts.length > MAX_SPF_LOOKUPS)
          throw new SpfError(`mx:${target}: more than ${MAX_SPF_LOOKUPS} hosts`)
        for (const host of hosts) if (await this.#hasAddress(host, mechanism)) return true
        return false
      }
      // §5.5: not to be used; that it does not match errs on the side of telling.
      case 'ptr':
        return false
    }
  }

  async #hasAddress(host: string, prefix: { prefix4: number; prefix6: number }): Promise<boolean> {
    const { address } = this.#question
    const bits = address.family === 4 ? prefix.prefix4 : prefix.prefix6
    const found = await this.#records(this.#dns.addresses(host, address.family))
    return found.some(text => {
      const candidate = parseAddress(text)
      return candidate !== null && inPrefix(address, candidate, bits)
    })
  }

  #count(): void {
    this.lookups++
    if (this.lookups > (this.#question.exhaustive ? MAX_COUNTED : MAX_SPF_LOOKUPS))
      throw new SpfError(`more than ${MAX_SPF_LOOKUPS} lookups`)
  }

  async #records(asked: Promise<DnsAnswer<string>>, counts = true): Promise<string[]> {
    const answer = await asked
    if (answer.kind === 'answer') return answer.records
    if (answer.kind === 'failure') throw new Temporary(answer.reason)
    if (counts && ++this.#void > MAX_VOID_LOOKUPS && !this.#question.exhaustive)
      throw new SpfError(`more than ${MAX_VOID_LOOKUPS} lookups of names that do not exist`)
    return []
  }

  // §7: macro-expand; the sender is the postmaster, as with an empty reverse-path (§2.4).
  #expand(spec: string, domain: string): string {
    const { address, helo } = this.#question
    const values: Readonly<Record<string, string>> = {
      s: `postmaster@${this.#question.domain}`,
      l: 'postmaster',
      o: this.#question.domain,
      d: domain,
      i: digits(address).join('.'),
      v: address.family === 4 ? 'in-addr' : 'ip6',
      h: helo,
      p: 'unknown',
    }
    return spec.replace(
      /%(?:%|_|-|\{([a-z])(\d*)(r?)([.\-+,/_=]*)\})|%/gi,
      (macro: string, letter?: string, count?: string, reversed?: string, delimiters?: string) => {
        if (macro === '%%') return '%'
        const value = letter === undefined ? undefined : values[letter.toLowerCase()]
        if (value === undefined) throw new SpfError(`'${spec}': '${macro}' cannot stand there`)
        const marks = new Set(delimiters || '.')
        let parts = ['']
        for (const sign of value) {
          if (marks.has(sign)) parts.push('')
          else parts[parts.length - 1] += sign
        }
        if (reversed) parts = parts.reverse()
        return parts.slice(count ? -Number(count) : 0).join('.')
      },
    )
  }
}
