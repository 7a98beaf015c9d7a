/**
 * One question to one server, as messages: with EDNS(0) and without where that is not understood (RFC 6891
 * §7), over UDP and then TCP where the answer did not fit (RFC 7766 §5). What asks a resolver and what asks an
 * authoritative server both use it.
 */

import { answersQuestion } from '../dns/answer.ts'
import { decodeMessage, encodeMessage, type Message, type Question } from '../dns/message.ts'
import { FLAG } from '../dns/wire.ts'
import { type Accept, type Exchange, type ExchangeOptions, exchangeTcp, exchangeUdp } from './dns-exchange.ts'
import type { Endpoint } from './endpoint.ts'

/** What fits a datagram everywhere: 1280 octets of IPv6 less headers, the value of DNS flag day 2020. */
export const UDP_PAYLOAD_OCTETS = 1232

export interface AskOptions extends ExchangeOptions {
  /** `udp` goes on over TCP where the answer is truncated. */
  readonly transport: 'udp' | 'tcp'
  /** True for a recursive server, which is asked for the AD bit as well. */
  readonly recursive: boolean
  /** 0 ≤ x < 1, for the message id. */
  readonly random: () => number
}

export async function ask(
  server: Endpoint,
  question: Question,
  options: AskOptions,
): Promise<Exchange<Message>> {
  const exchange = await askOnce(server, question, options, true)
  // RFC 6891 §7: a server that does not know EDNS says FORMERR or NOTIMP; ask without.
  if (exchange.kind === 'reply' && refusesEdns(exchange.value))
    return askOnce(server, question, options, false)
  return exchange
}

async function askOnce(
  server: Endpoint,
  question: Question,
  options: AskOptions,
  withEdns: boolean,
): Promise<Exchange<Message>> {
  const { recursive } = options
  const id = Math.floor(options.random() * 0x10000)
  const octets = encodeMessage({
    id,
    recursionDesired: recursive,
    // RFC 6840 §5.7: AD in a query asks for AD in the response; DO does as well, for servers older than
    // that.
    authenticData: recursive,
    questions: [question],
    edns: withEdns ? { udpPayloadOctets: UDP_PAYLOAD_OCTETS, dnssecOk: recursive, version: 0 } : null,
  })
  if (options.transport === 'tcp') return exchangeTcp(server, octets, acceptMessage(id, question), options)
  const udp = await exchangeUdp(server, octets, acceptUdp(id, question), options)
  if (udp.kind === 'failure') return udp
  if (udp.value !== 'truncated' && !udp.value.truncated) return { kind: 'reply', value: udp.value }
  return exchangeTcp(server, octets, acceptMessage(id, question), options)
}

function acceptMessage(id: number, question: Question): Accept<Message> {
  return octets => {
    try {
      const message = decodeMessage(octets)
      return answersQuestion(message, id, question) ? message : undefined
    } catch {
      return undefined
    }
  }
}

/** A truncated response may have been cut in the middle of a record: its header is enough. */
function acceptUdp(id: number, question: Question): Accept<Message | 'truncated'> {
  const accept = acceptMessage(id, question)
  const wanted = FLAG.response | FLAG.truncated
  return octets => {
    const message = accept(octets)
    if (message !== undefined || octets.length < 4 || octets.readUInt16BE(0) !== id) return message
    return (octets.readUInt16BE(2) & wanted) === wanted ? 'truncated' : undefined
  }
}

function refusesEdns(message: Message): boolean {
  return (message.rcode === 'FORMERR' || message.rcode === 'NOTIMP') && message.edns === null
}

/** 0 ≤ x < 1, not to be guessed: a message id is half of what a forger must know (RFC 5452 §4.3). */
export function secureRandom(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32
}
