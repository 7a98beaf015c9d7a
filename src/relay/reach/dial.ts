/** From a wire to a link: greeted, under the TLS that the policy wants, with what is known to work where TLS fails. */

import {
  Connection,
  ConnectionError,
  explain,
  type GreetOptions,
  type TlsWish,
} from '../../net/connection.ts'
import { reducedTls } from '../../net/mx-tls.ts'
import { Wire } from '../../net/wire.ts'
import type { Log } from '../../observe/event.ts'
import type { Timeouts } from '../../smtp/limits.ts'
import { formatReply } from '../../smtp/reply.ts'
import type { ScramClientCrypto } from '../../smtp/sasl.ts'
import { type MailHost, namesOf } from '../destination.ts'
import { fromConnectionError, type Verdict } from '../outcome.ts'
import type { Link } from '../site/links.ts'
import { type TlsResult, tlsFailureOf, typeOfCode } from '../tls-outcome.ts'
import {
  isInterrupted,
  type Objection,
  objectionToFailure,
  objectionToPeer,
  saysRequireTls,
  type TlsPolicy,
  wishFor,
} from '../tls-policy.ts'
import type { Candidate } from './candidates.ts'
import type { HostMemory } from './host-memory.ts'
import type { Route } from './reach.ts'
import type { Source } from './source.ts'

export interface Dialling {
  readonly smtpPort: number
  readonly connectMs: number
  readonly timeouts: Timeouts
  /** The longest line of a reply that is taken. */
  readonly replyLineOctets: number
  readonly now: () => number
  /** Of SCRAM, for smart hosts: with it the password does not leave this machine. */
  readonly scram: ScramClientCrypto
}

/** No link. `silent`: nobody was there to speak to; else it is we who will not speak to who was there. */
export interface Refusal {
  readonly verdict: Verdict
  readonly silent: boolean
  /** What of TLS is to be reported; not given: it did not come to TLS. */
  readonly tls?: TlsResult
}

/** A link as far as EHLO, in clear text where TLS fails and the policy allows that; or why there is none. */
export async function greet(
  candidate: Candidate,
  wire: Wire,
  { domain, policy, source }: Pick<Route, 'domain' | 'policy' | 'source'>,
  dialling: Dialling & { readonly memory: HostMemory },
  log: Log,
): Promise<Link | Refusal> {
  const { host, remote, policy: ofHost } = candidate
  try {
    const connection = await connect(candidate, wire, source, dialling, log)
    // Before AUTH: with DANE it is only now seen who is there, and who would get the password.
    const objection = objectionToPeer(ofHost, connection, namesOf(host, domain), dialling.now())
    if (objection !== null) {
      // RFC 8689 §4.2.1: "the client MUST issue a QUIT", and go on to the next host.
      connection.quit()
      return {
        verdict: fromObjection(objection),
        silent: false,
        tls: objected(ofHost, connection, objection),
      }
    }
    await authenticate(connection, host, dialling.scram)
    const requireTls = saysRequireTls(ofHost, host, connection)
    return {
      connection,
      candidate,
      remote,
      policy,
      source,
      requireTls,
      messages: 0,
      openedMs: dialling.now(),
    }
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    const objection = objectionToFailure(ofHost, error)
    const failure = tlsFailureOf(error)
    const tls = failure === null ? {} : { tls: failure }
    return objection === null
      ? { verdict: fromConnectionError(error), silent: true, ...tls }
      : { verdict: fromObjection(objection), silent: false, ...tls }
  }
}

/** What was seen that the policy does not allow. */
function objected({ dane }: TlsPolicy, { tls }: Connection, { diagnostic: reason }: Objection): TlsResult {
  if (tls === null) return { kind: 'failure', type: 'starttls-not-supported', reason }
  // RFC 8460 §4.3.2.1: what does not match a TLSA record has no type of its own.
  const type = dane === undefined ? typeOfCode(tls.authorizationError ?? reason) : 'validation-failure'
  return { kind: 'failure', type, reason }
}

export function fromObjection({ status, diagnostic }: Objection): Verdict {
  return { action: 'next', status, diagnostic }
}

/** @throws ConnectionError when the smart host does not let us in */
async function authenticate(
  connection: Connection,
  { route }: MailHost,
  scram: ScramClientCrypto,
): Promise<void> {
  if (route?.account === undefined) return
  const answer = await connection.auth(route.account, scram)
  if (answer.code < 300) return
  connection.quit()
  throw new ConnectionError('refused', 'AUTH', formatReply(answer), answer)
}

/**
 * With TLS; where the handshake breaks off, once more with a smaller ClientHello, which middleboxes let pass that stumble
 * over the size that post-quantum keys give it; then, where the policy allows it, in clear text.
 */
async function connect(
  candidate: Candidate,
  wire: Wire,
  source: Source,
  dialling: Dialling & { readonly memory: HostMemory },
  log: Log,
): Promise<Connection> {
  const { host, remote, policy } = candidate
  const { timeouts, replyLineOctets, memory } = dialling
  const tls = wishFor(policy, host)
  const sessions = sessionsFor(candidate, tls, memory)
  const greeting = { hostname: source.hostname, replyLineOctets, timeouts }
  const options: GreetOptions = { ...greeting, tls, ...sessions }
  const inClear: GreetOptions = { ...greeting, tls: { mode: 'none' } }
  if (policy.clearText && memory.hasBrokenTls(host.name)) return Connection.over(wire, inClear)
  let failure: ConnectionError
  try {
    return await Connection.over(wire, options)
  } catch (error) {
    if (!(error instanceof ConnectionError) || error.code !== 'tls') throw error
    failure = error
  }
  if (isInterrupted(failure.cause) && options.tls.mode !== 'none') {
    log.event('attempt', {
      remote,
      tls: 'broken off, now with a smaller ClientHello',
      because: failure.message,
    })
    const reduced = { ...options.tls, options: reducedTls(options.tls.options) }
    try {
      return await Connection.over(await reconnect(candidate, dialling), { ...options, tls: reduced })
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.code !== 'tls') throw error
      failure = error
    }
  }
  if (!policy.clearText) throw failure
  const because = `${failure.message}; ${policy.reason}`
  log.event('attempt', { remote, tls: 'failed, now in clear text', because })
  const connection = await Connection.over(await reconnect(candidate, dialling), inClear)
  // "Not now" is no reason to do without it later.
  if ((failure.reply?.code ?? 500) >= 500) memory.tlsFailed(host.name, isInterrupted(failure.cause))
  return connection
}

/** With DANE and fingerprints the certificates themselves are looked at, and a session that is resumed shows none. */
function sessionsFor(
  { host, policy, address }: Candidate,
  tls: TlsWish,
  memory: HostMemory,
): Pick<GreetOptions, 'sessions'> {
  if (tls.mode === 'none' || policy.dane !== undefined || host.route?.ca !== undefined) return {}
  const who = tls.options.rejectUnauthorized === true ? 'verified' : 'anybody'
  return { sessions: memory.sessions(`${who} ${host.name} ${address}`) }
}

async function reconnect(
  { address: host, port, localAddress }: Candidate,
  dialling: Dialling,
): Promise<Wire> {
  const from = localAddress === undefined ? {} : { localAddress }
  try {
    return await Wire.connect({ host, port, timeoutMs: dialling.connectMs, ...from })
  } catch (error) {
    throw explain(error, 'connect')
  }
}
