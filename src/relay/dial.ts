/** From a host and an address to a connection that the policy allows the message to be given to. */

import { Connection, ConnectionError, type ConnectOptions } from '../net/connection.ts'
import type { Log } from '../observe/event.ts'
import type { Timeouts } from '../smtp/limits.ts'
import type { MailHost } from './destination.ts'
import { fromConnectionError, type Verdict } from './outcome.ts'
import type { Link } from './site/links.ts'
import {
  type Objection,
  objectionToFailure,
  objectionToPeer,
  saysRequireTls,
  type TlsPolicy,
  wishFor,
} from './tls-policy.ts'

export interface Dialling {
  /** Our name: in EHLO. */
  readonly hostname: string
  readonly smtpPort: number
  readonly connectMs: number
  readonly timeouts: Timeouts
  readonly now: () => number
}

/** No link. `silent`: nobody was there to speak to; else it is we who will not speak to who was there. */
export interface Refusal {
  readonly verdict: Verdict
  readonly silent: boolean
}

/** A link as far as EHLO, in clear text where TLS fails and the policy allows that; or why there is none. */
export async function dial(
  host: MailHost,
  address: string,
  policy: TlsPolicy,
  dialling: Dialling,
  log: Log,
): Promise<Link | Refusal> {
  const remote = `${host.name} [${address}]`
  try {
    const connection = await connect(host, address, policy, dialling, log)
    const objection = objectionToPeer(policy, connection)
    if (objection !== null) {
      // RFC 8689 §4.2.1: "the client MUST issue a QUIT", and go on to the next host.
      connection.quit()
      return { verdict: fromObjection(objection), silent: false }
    }
    const requireTls = saysRequireTls(policy, host, connection)
    return { connection, host: host.name, remote, policy, requireTls, messages: 0, openedMs: dialling.now() }
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    const objection = objectionToFailure(policy, error)
    return objection === null
      ? { verdict: fromConnectionError(error), silent: true }
      : { verdict: fromObjection(objection), silent: false }
  }
}

export function isLink(dialled: Link | Refusal): dialled is Link {
  return 'connection' in dialled
}

export function fromObjection({ status, diagnostic }: Objection): Verdict {
  return { action: 'next', status, diagnostic }
}

async function connect(
  host: MailHost,
  address: string,
  policy: TlsPolicy,
  dialling: Dialling,
  log: Log,
): Promise<Connection> {
  const { hostname, smtpPort, connectMs, timeouts } = dialling
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
    log.event('attempt', { remote: `${host.name} [${address}]`, tls: 'failed, now in clear text', because })
    return Connection.open({ ...options, tls: { mode: 'none' } })
  }
}
