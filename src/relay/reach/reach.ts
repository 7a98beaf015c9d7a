/**
 * From the mail hosts of a destination to connections, the best first: of each preference the addresses of all hosts are
 * raced (RFC 5321 §5.1, RFC 8305), until somebody takes every recipient or nobody is left.
 */

import type { Networks } from '../../net/networks.ts'
import { race } from '../../net/race.ts'
import type { WireError } from '../../net/wire.ts'
import type { Log } from '../../observe/event.ts'
import { daneOf, withDane } from '../dane.ts'
import { addressesOf, type Lookup, type MailHost } from '../destination.ts'
import type { StsAnswer } from '../mta-sts/mta-sts.ts'
import { fromWireError, type Verdict } from '../outcome.ts'
import type { Link } from '../site/links.ts'
import { outcomesOf, type TlsResult } from '../tls-outcome.ts'
import type { TlsPolicy } from '../tls-policy.ts'
import { objectionToHost, objectionToMx } from '../tls-policy.ts'
import type { TlsReports } from '../tls-report/reports.ts'
import { type Candidate, candidatesOf, type Reachable } from './candidates.ts'
import { type Dialling, fromObjection, greet } from './dial.ts'
import type { HostMemory } from './host-memory.ts'
import type { Source } from './source.ts'

export interface Reaching extends Dialling {
  readonly lookup: Lookup
  readonly memory: HostMemory
  /** Of addresses that cannot be on the Internet, those that mail may go to all the same. */
  readonly privateNetworks: Networks
  readonly unreachable: Networks
  /** None: nothing is reported. */
  readonly tlsReports?: Pick<TlsReports, 'note'>
}

/** Why a host, or an address of one, did not come to a link. */
export interface Miss {
  readonly host: string
  readonly remote: string | undefined
  readonly verdict: Verdict
  /** Nobody was there to speak to; else it is we who will not speak to who is there. */
  readonly silent: boolean
}

export interface Route {
  readonly hosts: readonly MailHost[]
  /** The next-hop domain. */
  readonly domain: string
  readonly policy: TlsPolicy
  /** The sender does without what the destination asks of TLS (RFC 8689 §3). */
  readonly waives: () => boolean
  readonly sts: StsAnswer | null
  /** Of the message. */
  readonly id: string
  readonly source: Source
}

export class Reach {
  readonly #route: Route
  readonly #reaching: Reaching
  readonly #miss: (miss: Miss) => void
  readonly #log: Log
  /** Preferences that were not tried yet, the best first. */
  readonly #levels: (readonly MailHost[])[]
  #candidates: Candidate[] = []

  constructor(route: Route, reaching: Reaching, miss: (miss: Miss) => void, log: Log) {
    this.#route = route
    this.#reaching = reaching
    this.#miss = miss
    this.#log = log
    this.#levels = [...Map.groupBy(route.hosts, ({ preference }) => preference).values()]
  }

  /** Null: there is nobody else. @param connecting a connection is begun */
  async next(connecting: () => void): Promise<Link | null> {
    for (;;) {
      if (this.#candidates.length === 0) {
        const level = this.#levels.shift()
        if (level === undefined) return null
        this.#candidates = await this.#candidatesAt(level)
        continue
      }
      connecting()
      const { connectMs, memory } = this.#reaching
      const { winner, failures } = await race(this.#candidates, { timeoutMs: connectMs })
      for (const [candidate, error] of failures) this.#failed(candidate, error)
      if (winner === null) continue
      const { target, wire } = winner
      memory.answered(target.address)
      this.#candidates = this.#candidates.filter(one => one !== target)
      const link = await greet(target, wire, this.#route, this.#reaching, this.#log)
      const { host, policy, address } = target
      if ('connection' in link) {
        this.#report(host, policy, { kind: 'session', tls: link.connection.tls }, address)
        return link
      }
      const { verdict, silent, tls } = link
      if (tls !== undefined) this.#report(host, policy, tls, address)
      this.#miss({ host: host.name, remote: target.remote, verdict, silent })
    }
  }

  /** Another connection to where `link` led: its session had no transaction left (RFC 9422 §4.1). */
  again({ candidate }: Link): void {
    this.#candidates.unshift(candidate)
  }

  /** For the domain's report (RFC 8460); a smart host is the operator's own affair. */
  #report(host: MailHost, policy: TlsPolicy, result: TlsResult, address?: string): void {
    const { domain, sts, id } = this.#route
    if (host.route !== undefined) return
    const session = { domain, host, policy, sts, result, ...(address === undefined ? {} : { address }) }
    for (const outcome of outcomesOf(session)) this.#reaching.tlsReports?.note(outcome, { id })
  }

  #failed(candidate: Candidate, error: WireError): void {
    this.#reaching.memory.failed(candidate.address, error.code === 'timeout')
    this.#candidates = this.#candidates.filter(one => one !== candidate)
    const { host, remote } = candidate
    this.#miss({ host: host.name, remote, verdict: fromWireError(error), silent: true })
  }

  async #candidatesAt(hosts: readonly MailHost[]): Promise<Candidate[]> {
    const { policy, source } = this.#route
    const { lookup, memory, smtpPort } = this.#reaching
    const reachable: Reachable[] = []
    for (const host of hosts) {
      const refuse = (verdict: Verdict) =>
        this.#miss({ host: host.name, remote: undefined, verdict, silent: false })
      const objection = objectionToHost(policy, host)
      if (objection !== null) {
        refuse(fromObjection(objection))
        continue
      }
      const found = await addressesOf(host, lookup)
      if (found.kind === 'none') {
        refuse({ action: 'next', status: found.status, diagnostic: found.diagnostic })
        continue
      }
      // A smart host is where the operator says.
      const addresses = found.addresses.filter(
        address => host.route !== undefined || this.#isAllowed(address),
      )
      if (addresses.length === 0) {
        refuse(onlyPrivate(host, found.addresses))
        continue
      }
      const dane = await daneOf(host, found, lookup, smtpPort)
      const waived = dane.kind !== 'none' && this.#route.waives()
      const ofHost = waived ? policy : withDane(policy, dane, host)
      if ('about' in ofHost) {
        const { failure: type = 'dnssec-invalid', diagnostic: reason } = ofHost
        const records = dane.kind === 'unusable' ? { dane } : {}
        this.#report(host, { ...policy, level: 'dane', ...records }, { kind: 'failure', type, reason })
        refuse(fromObjection(ofHost))
        continue
      }
      const toMx = objectionToMx(ofHost, host)
      if (toMx !== null) {
        const result = { kind: 'failure', type: 'validation-failure', reason: toMx.diagnostic } as const
        this.#report(host, ofHost, result)
        refuse(fromObjection(toMx))
      } else reachable.push({ host, policy: ofHost, waived, addresses })
    }
    const candidates = candidatesOf(reachable, source, smtpPort, address => memory.isDead(address))
    if (candidates.length === 0)
      for (const { host } of reachable)
        this.#miss({ host: host.name, remote: undefined, verdict: noFamily(host, source), silent: false })
    return candidates
  }

  #isAllowed(address: string): boolean {
    const { unreachable, privateNetworks } = this.#reaching
    return !unreachable.has(address) || privateNetworks.has(address)
  }
}

/** An MX of 127.0.0.1 is a loop, and one in a private network a way for strangers to have us speak to machines of ours. */
function onlyPrivate({ name }: MailHost, addresses: readonly string[]): Verdict {
  const diagnostic = `${name} has no address on the Internet: ${addresses.join(', ')} ([relay] private_networks can allow it)`
  return { action: 'next', status: '5.4.4', diagnostic }
}

function noFamily({ name }: MailHost, source: Source): Verdict {
  const diagnostic = `${name} has no address of a family that ${source.name} sends from`
  return { action: 'next', status: '4.4.4', diagnostic }
}
