/**
 * All records of a zone, from its primary: AXFR (RFC 5936) signed with TSIG over its many messages (RFC 8945
 * §5.3.1). Who may change a zone is often let to read it; where not, the answer is `refused` and nothing is lost.
 */

import { decodeMessage, encodeMessage, type ResourceRecord } from '../dns/message.ts'
import { sameName } from '../dns/name.ts'
import { signMessage, splitTsig, type TsigKey, tsigErrorName } from '../dns/tsig.ts'
import { TsigStream } from '../dns/tsig-stream.ts'
import { type ExchangeFailureCode, exchangeTcp } from './dns-exchange.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import type { RefusalCode, UpdateOptions } from './nsupdate.ts'
import { secureRandom } from './resolver-exchange.ts'

export type TransferOutcome =
  /** The SOA once, first; all of it covered by MACs that verified. */
  | { readonly kind: 'zone'; readonly records: readonly ResourceRecord[] }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly reason: string }
  | {
      readonly kind: 'failure'
      readonly code: ExchangeFailureCode | 'BADREPLY' | 'TOOLARGE'
      readonly reason: string
    }

export interface TransferOptions extends Pick<UpdateOptions, 'timeoutMs' | 'now' | 'random' | 'signal'> {
  /** A zone with more than this is given up: it is held in memory. */
  readonly maxOctets?: number
}

const TIMEOUT_MS = 30_000
const MAX_OCTETS = 64 * 1024 * 1024

export async function transferZone(
  server: Endpoint,
  zone: string,
  key: TsigKey,
  options: TransferOptions = {},
): Promise<TransferOutcome> {
  const timeSeconds = (): number => Math.floor((options.now ?? Date.now)() / 1000)
  const id = Math.floor((options.random ?? secureRandom)() * 0x10000)
  const question = { name: zone, type: 'TYPE252', class: 'IN' } as const
  const request = signMessage(encodeMessage({ id, questions: [question] }), key, {
    timeSeconds: timeSeconds(),
  })
  const transfer = new Transfer(zone, new TsigStream(key, request.mac), options.maxOctets ?? MAX_OCTETS)
  const accept = (octets: Buffer): TransferOutcome | undefined => {
    if (octets.length < 12 || octets.readUInt16BE(0) !== id || octets.readUInt16BE(2) >> 15 === 0)
      return undefined
    try {
      return transfer.receive(octets, timeSeconds())
    } catch (error) {
      return badReply(`its reply is malformed: ${(error as Error).message}`)
    }
  }
  const exchange = await exchangeTcp(server, request.octets, accept, {
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    signal: options.signal,
  })
  if (exchange.kind === 'failure') return exchange
  const outcome = exchange.value
  return outcome.kind === 'zone'
    ? outcome
    : { ...outcome, reason: `${formatEndpoint(server)}: ${outcome.reason}` }
}

function badReply(reason: string): TransferOutcome {
  return { kind: 'failure', code: 'BADREPLY', reason }
}

/** The messages of one answer. RFC 5936 §2.2: the SOA is the first record and the last, and only these. */
class Transfer {
  readonly #zone: string
  readonly #stream: TsigStream
  readonly #maxOctets: number
  readonly #records: ResourceRecord[] = []
  #octets = 0
  #ended = false

  constructor(zone: string, stream: TsigStream, maxOctets: number) {
    this.#zone = zone
    this.#stream = stream
    this.#maxOctets = maxOctets
  }

  /** `undefined`: there is more to come. */
  receive(octets: Buffer, timeSeconds: number): TransferOutcome | undefined {
    this.#octets += octets.length
    if (this.#octets > this.#maxOctets) {
      const reason = `the zone ${this.#zone} is over ${this.#maxOctets} octets`
      return { kind: 'failure', code: 'TOOLARGE', reason }
    }
    const refused = this.#refusal(octets)
    if (refused !== null) return refused
    const { message, verdict } = this.#stream.push(octets, timeSeconds)
    if (verdict !== 'ok' && verdict !== 'unsigned') return badReply(`the MAC does not verify: ${verdict}`)
    for (const record of decodeMessage(message).answers) {
      if (this.#ended) return badReply('there are records after the last SOA')
      if (this.#records.length === 0 && !this.#isSoa(record)) return badReply('the first record is no SOA')
      if (this.#records.length > 0 && this.#isSoa(record)) this.#ended = true
      else this.#records.push(record)
    }
    return this.#ended && this.#stream.covered ? { kind: 'zone', records: this.#records } : undefined
  }

  #isSoa(record: ResourceRecord): boolean {
    return record.type === 'SOA' && sameName(record.name, this.#zone)
  }

  /** RFC 5936 §2.2.1: an error is a message without records. It need not be signed: nothing is taken from it. */
  #refusal(octets: Buffer): TransferOutcome | null {
    const split = splitTsig(octets)
    const { rcode } = decodeMessage(split?.message ?? octets)
    if (rcode === 'NOERROR') return null
    const error = split === null ? null : tsigErrorName(split.tsig.error)
    const code = rcode === 'NOTAUTH' && error !== null ? error : rcode
    return { kind: 'refused', code, reason: `does not give away the zone ${this.#zone}: ${code}` }
  }
}
