/**
 * Request in, response out: queries (RFC 1034 §4.3.2) and updates (RFC 2136 §3) signed with TSIG (RFC 8945
 * §5).
 */

import { MAX_CNAMES } from '../dns/answer.ts'
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type MessageParts,
  OPCODE,
  type Rcode,
  type ResourceRecord,
} from '../dns/message.ts'
import { sameName } from '../dns/name.ts'
import {
  appendTsigError,
  otherTime,
  signMessage,
  splitTsig,
  TSIG_ERROR,
  type Tsig,
  type TsigKey,
  verifyTsig,
} from '../dns/tsig.ts'
import { readUpdate } from '../dns/update.ts'
import { FormatError } from '../dns/wire.ts'
import type { Log } from '../observe/event.ts'
import { applyUpdate } from './dns-update.ts'
import { type Zone, zoneOf } from './dns-zone.ts'

export interface PrimaryOptions {
  readonly zones: readonly Zone[]
  readonly tsigKey: TsigKey | null
  readonly now: () => number
  /** Makes a change durable before it is answered (RFC 2136 §3.5); throwing undoes it. */
  readonly commit: (zones: readonly Zone[]) => void
  readonly log: Log
}

const UDP_PAYLOAD_OCTETS = 1232
/** IXFR and AXFR. */
const TRANSFERS = new Set<string>(['TYPE251', 'TYPE252'])

export class Primary {
  zones: readonly Zone[]
  readonly #options: PrimaryOptions

  constructor(options: PrimaryOptions) {
    this.#options = options
    this.zones = options.zones
  }

  /** `null`: nothing to answer, it is no request. */
  answer(octets: Buffer, transport: 'udp' | 'tcp'): Buffer | null {
    if (octets.length < 12 || (octets.readUInt16BE(2) & 0x8000) !== 0) return null
    try {
      const split = splitTsig(octets)
      const message = decodeMessage(split?.message ?? octets)
      if (message.opcode === OPCODE.UPDATE) return this.#signedUpdate(message, split)
      // A query that is signed gets its answer unsigned: the clients this serves do not sign queries.
      return fit(this.#query(message), message, transport)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      const id = octets.readUInt16BE(0)
      return encodeMessage({
        id,
        response: true,
        opcode: (octets.readUInt16BE(2) >> 11) & 0xf,
        rcode: 'FORMERR',
      })
    }
  }

  #query(message: Message): MessageParts {
    const [question, ...others] = message.questions
    const response: MessageParts = {
      ...replyTo(message),
      questions: message.questions,
      recursionAvailable: true,
    }
    if (message.opcode !== OPCODE.QUERY) return { ...response, rcode: 'NOTIMP' }
    if (question === undefined || others.length > 0) return { ...response, rcode: 'FORMERR' }
    // RFC 6891 §6.1.3.
    if (message.edns !== null && message.edns.version > 0) return { ...response, rcode: 'BADVERS' }

    // RFC 5936 §2.2.1: a zone is not given away whole.
    if (TRANSFERS.has(question.type)) return { ...response, rcode: 'REFUSED' }

    const answers: ResourceRecord[] = []
    let { name } = question
    for (let cnames = 0; ; cnames++) {
      const zone = question.class === 'IN' ? zoneOf(this.zones, name) : null
      if (zone === null) {
        // A CNAME may lead to where we know nothing: then that is all there is to say.
        return answers.length === 0
          ? { ...response, rcode: 'REFUSED' }
          : { ...response, authoritative: true, answers }
      }
      const found = zone.lookup(name, question.type)
      if (found.kind === 'nxdomain' || found.kind === 'nodata') {
        const rcode = found.kind === 'nxdomain' ? 'NXDOMAIN' : 'NOERROR'
        return { ...response, authoritative: true, rcode, answers, authorities: [found.soa] }
      }
      answers.push(...found.records)
      const [cname] = found.records
      if (
        found.kind === 'records' ||
        cname?.type !== 'CNAME' ||
        cname.data === null ||
        cnames === MAX_CNAMES
      ) {
        return { ...response, authoritative: true, answers }
      }
      name = cname.data
    }
  }

  // RFC 8945 §5.2: key, MAC, time, in this order.
  #signedUpdate(message: Message, split: { message: Buffer; tsig: Tsig } | null): Buffer {
    const { tsigKey, now, log } = this.#options
    if (split === null) return encodeMessage({ ...replyTo(message), rcode: 'REFUSED' })
    const { tsig } = split
    const timeSeconds = Math.floor(now() / 1000)
    const verdict = verifyTsig(split.message, tsig, tsigKey ?? undefined, { timeSeconds })
    if (verdict !== 'ok') log.event('refused', { server: 'dns', key: tsig.name, reason: verdict }, 'warn')
    if (verdict === 'BADKEY' || verdict === 'BADSIG' || tsigKey === null) {
      const refusal = encodeMessage({ ...replyTo(message), rcode: 'NOTAUTH' })
      return appendTsigError(refusal, tsig, verdict === 'BADSIG' ? 'BADSIG' : 'BADKEY')
    }
    if (verdict !== 'ok') {
      // RFC 8945 §5.2.3: signed, with the client's time, so that the client can verify it in spite of its
      // clock.
      return signMessage(encodeMessage({ ...replyTo(message), rcode: 'NOTAUTH' }), tsigKey, {
        timeSeconds: tsig.timeSeconds,
        fudgeSeconds: tsig.fudgeSeconds,
        requestMac: tsig.mac,
        error: TSIG_ERROR[verdict],
        other: verdict === 'BADTIME' ? otherTime(timeSeconds) : Buffer.alloc(0),
      }).octets
    }
    const rcode = this.#update(message)
    log.event(rcode === 'NOERROR' ? 'accepted' : 'refused', {
      server: 'dns',
      update: message.questions[0]?.name,
      rcode,
    })
    return signMessage(encodeMessage({ ...replyTo(message), rcode }), tsigKey, {
      timeSeconds,
      requestMac: tsig.mac,
    }).octets
  }

  #update(message: Message): Rcode {
    const read = readUpdate(message)
    if (read.kind !== 'update') return read.kind
    const { update } = read
    const index = this.zones.findIndex(zone => sameName(zone.origin, update.zone))
    const zone = this.zones[index]
    if (zone === undefined) return 'NOTAUTH'
    const applied = applyUpdate(zone, update, (_, type) => type === 'TXT' || type === 'SRV')
    if (applied.kind !== 'done') return applied.kind
    const zones = this.zones.with(index, applied.zone)
    try {
      this.#options.commit(zones)
    } catch (error) {
      this.#options.log.event('failed', { server: 'dns', reason: (error as Error).message }, 'error')
      return 'SERVFAIL'
    }
    this.zones = zones
    return 'NOERROR'
  }
}

function replyTo(message: Message): MessageParts {
  const { id, opcode, recursionDesired } = message
  return { id, opcode, response: true, recursionDesired }
}

/** RFC 6891 §6.2.5, RFC 2181 §9: what does not fit a datagram is asked for again over TCP. */
function fit(response: MessageParts, request: Message, transport: 'udp' | 'tcp'): Buffer {
  const edns =
    request.edns === null ? null : { udpPayloadOctets: UDP_PAYLOAD_OCTETS, dnssecOk: false, version: 0 }
  const octets = encodeMessage({ ...response, edns })
  const limit = Math.min(request.edns?.udpPayloadOctets ?? 512, UDP_PAYLOAD_OCTETS)
  if (transport === 'tcp' || octets.length <= limit) return octets
  return encodeMessage({ ...response, answers: [], authorities: [], truncated: true, edns })
}
