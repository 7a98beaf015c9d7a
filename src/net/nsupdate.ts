/**
 * The primary server of a zone: asked for what it has (RFC 1035), told what to change (RFC 2136, RFC 8945).
 */

import { type Interpretation, interpret } from '../dns/answer.ts'
import { decodeMessage, OPCODE, type Rcode } from '../dns/message.ts'
import type { KnownData, RecordType } from '../dns/rdata.ts'
import {
  serverTime,
  signMessage,
  splitTsig,
  type TsigError,
  type TsigKey,
  tsigErrorName,
  verifyTsig,
} from '../dns/tsig.ts'
import { encodeUpdate, type Update } from '../dns/update.ts'
import { FLAG } from '../dns/wire.ts'
import { type ExchangeFailureCode, exchangeTcp, exchangeUdp } from './dns-exchange.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { explain } from './nsupdate-explain.ts'
import { ask, secureRandom, UDP_PAYLOAD_OCTETS } from './resolver-exchange.ts'

/** RCODEs other than NOERROR, and the TSIG errors that come with NOTAUTH. */
export type RefusalCode = Exclude<Rcode, 'NOERROR'> | TsigError

export type UpdateOutcome =
  /**
   * The primary says that it has made the change, with a MAC that verified. Who needs to know asks it for the
   * record: PowerDNS says so too when its policy script has left the change out.
   */
  | { readonly kind: 'done' }
  | {
      readonly kind: 'refused'
      readonly code: RefusalCode
      /** For the operator: what happened, why, and what to do. */
      readonly explanation: string
      /** False where RFC 8945 §5.3.2 has the error sent unsigned: anybody on the path could have said so. */
      readonly authenticated: boolean
      /** With BADTIME: the primary's clock less ours. */
      readonly offsetSeconds?: number
    }
  /** Whether the change was made is not known: ask before telling again. */
  | {
      readonly kind: 'failure'
      readonly code: ExchangeFailureCode | 'BADREPLY'
      readonly reason: string
    }

export interface UpdateOptions {
  readonly transport?: 'tcp' | 'udp'
  readonly timeoutMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** 0 ≤ x < 1, for the message id. */
  readonly random?: () => number
  readonly signal?: AbortSignal
}

export type AskOptions = Pick<UpdateOptions, 'transport' | 'timeoutMs' | 'random' | 'signal'>

const TIMEOUT_MS = 10_000

/**
 * Sends the update once: a repetition could meet its own effect in the prerequisites. Only what was surely not
 * done is sent again: where the server does not know EDNS (RFC 6891 §7). So is what was answered truncated,
 * over TCP (RFC 8945 §5.3): YXRRSET or NXRRSET can mean then that the first has done it, so look before you
 * judge, as one does with these two anyway.
 */
export async function sendUpdate(
  server: Endpoint,
  update: Update,
  key: TsigKey,
  options: UpdateOptions = {},
): Promise<UpdateOutcome> {
  let how: Attempt = { transport: options.transport ?? 'tcp', withEdns: true }
  for (;;) {
    const outcome = await sendOnce(server, update, key, how, options)
    if (!('again' in outcome)) return outcome
    how = { ...how, ...outcome.again }
  }
}

interface Attempt {
  readonly transport: 'tcp' | 'udp'
  readonly withEdns: boolean
}
/** Both are asked for once at most: over TCP nothing is truncated, and EDNS is left out only where it was. */
interface Again {
  readonly again: Partial<Attempt>
}

async function sendOnce(
  server: Endpoint,
  update: Update,
  key: TsigKey,
  { transport, withEdns }: Attempt,
  options: UpdateOptions,
): Promise<UpdateOutcome | Again> {
  const timeSeconds = (): number => Math.floor((options.now ?? Date.now)() / 1000)
  const id = Math.floor((options.random ?? secureRandom)() * 0x10000)
  const edns = withEdns ? { udpPayloadOctets: UDP_PAYLOAD_OCTETS, dnssecOk: false, version: 0 } : null
  const request = signMessage(encodeUpdate(id, update, edns), key, { timeSeconds: timeSeconds() })
  // A datagram that is cut up on its way is often lost.
  const udp = transport === 'udp' && request.octets.length <= UDP_PAYLOAD_OCTETS
  const sent = { server, update, key, requestMac: request.mac, timeSeconds }
  let unauthenticated: UpdateOutcome | undefined
  const accept = (octets: Buffer): UpdateOutcome | Again | undefined => {
    if (!isReply(octets, id)) return undefined
    if (udp && (octets.readUInt16BE(2) & FLAG.truncated) !== 0) return { again: { transport: 'tcp' } }
    if (withEdns && refusesEdns(octets)) return { again: { withEdns: false } }
    const outcome = readReply(octets, sent)
    // RFC 8945 §5.4: what is not signed may be forged, which is easy over UDP: go on waiting for a signed
    // reply.
    if (!udp || outcome.kind === 'done' || (outcome.kind === 'refused' && outcome.authenticated))
      return outcome
    unauthenticated = outcome
    return undefined
  }
  const reply = await (udp ? exchangeUdp : exchangeTcp)(server, request.octets, accept, {
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    signal: options.signal,
  })
  return reply.kind === 'reply' ? reply.value : (unauthenticated ?? reply)
}

/** RFC 6891 §7: FORMERR or NOTIMP, and no OPT record of its own. Nothing of the update was looked at. */
function refusesEdns(octets: Buffer): boolean {
  try {
    const { rcode, edns } = decodeMessage(octets)
    return edns === null && (rcode === 'FORMERR' || rcode === 'NOTIMP')
  } catch {
    return false
  }
}

interface Sent {
  readonly server: Endpoint
  readonly update: Update
  readonly key: TsigKey
  readonly requestMac: Uint8Array
  readonly timeSeconds: () => number
}

/**
 * RFC 8945 §5.4: a reply counts only if its MAC verifies; the errors that cannot be signed are reported as
 * such.
 */
function readReply(octets: Buffer, sent: Sent): UpdateOutcome {
  const { key, requestMac } = sent
  const timeSeconds = sent.timeSeconds()
  try {
    const split = splitTsig(octets)
    if (split === null) {
      const { rcode } = decodeMessage(octets)
      // Knot answers so for a zone that it does not have, PowerDNS whatever is wrong with a key.
      const meaning = rcode === 'NOERROR' ? '' : `; if it is genuine: ${explanationOf(sent, rcode, false)}`
      return badReply(sent, `its reply (${rcode}) is not signed with TSIG${meaning}`)
    }
    const { message, tsig } = split
    const { rcode } = decodeMessage(message)
    const error = tsigErrorName(tsig.error)
    if (tsig.mac.length === 0 && rcode === 'NOTAUTH' && (error === 'BADKEY' || error === 'BADSIG')) {
      return refused(sent, error, false)
    }
    const verdict = verifyTsig(message, tsig, key, { timeSeconds, requestMac })
    if (verdict === 'BADTIME' || (verdict === 'ok' && rcode === 'NOTAUTH' && error === 'BADTIME')) {
      return refused(sent, 'BADTIME', true, (serverTime(tsig) ?? tsig.timeSeconds) - timeSeconds)
    }
    if (verdict !== 'ok') return badReply(sent, `the MAC of its reply (${rcode}) does not verify: ${verdict}`)
    if (rcode === 'NOERROR') return { kind: 'done' }
    return refused(sent, rcode === 'NOTAUTH' && error !== null ? error : rcode, true)
  } catch (error) {
    return badReply(sent, `its reply is malformed: ${(error as Error).message}`)
  }
}

function refused(
  sent: Sent,
  code: RefusalCode,
  authenticated: boolean,
  offsetSeconds?: number,
): UpdateOutcome {
  const { server, update, key } = sent
  const explanation = explain(code, {
    server: formatEndpoint(server),
    update,
    key,
    authenticated,
    offsetSeconds,
  })
  return {
    kind: 'refused',
    code,
    explanation,
    authenticated,
    ...(offsetSeconds === undefined ? {} : { offsetSeconds }),
  }
}

function explanationOf(
  sent: Sent,
  code: RefusalCode,
  authenticated: boolean,
  offsetSeconds?: number,
): string {
  const { server, update, key } = sent
  return explain(code, { server: formatEndpoint(server), update, key, authenticated, offsetSeconds })
}

function badReply(sent: Sent, what: string): UpdateOutcome {
  return { kind: 'failure', code: 'BADREPLY', reason: `${formatEndpoint(sent.server)}: ${what}` }
}

function isReply(octets: Buffer, id: number): boolean {
  return (
    octets.length >= 12 &&
    octets.readUInt16BE(0) === id &&
    octets.readUInt16BE(2) >> 11 === (0x10 | OPCODE.UPDATE)
  )
}

/**
 * Asks a server for what it has itself, without recursion; over TCP where nothing else is said. `alias`: the name is a CNAME that leads
 * out of what this server has.
 */
export async function askPrimary<T extends RecordType>(
  server: Endpoint,
  name: string,
  type: T,
  options: AskOptions = {},
): Promise<Interpretation<KnownData[T]>> {
  const question = { name, type, class: 'IN' as const }
  const exchange = await ask(server, question, {
    transport: options.transport ?? 'tcp',
    recursive: false,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    random: options.random ?? secureRandom,
    signal: options.signal,
  })
  if (exchange.kind === 'failure') return exchange
  const found = interpret(question, exchange.value)
  const from = formatEndpoint(server)
  if (found.kind === 'failure') return { ...found, reason: `${from}: ${found.reason}` }
  if (exchange.value.authoritative) return found
  return {
    kind: 'failure',
    code: 'NOTAUTH',
    reason: `${from} is not authoritative for ${name}: is it the primary?`,
  }
}
