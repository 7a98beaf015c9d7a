/** What a message needs and a peer cannot do, known from its EHLO before anything is sent. Pure. */

import type { Message } from '../queue/queue.ts'
import { remaining } from '../smtp/deliver-by.ts'
import type { Extensions } from '../smtp/extension.ts'
import type { Verdict } from './outcome.ts'
import { mustReturn } from './times.ts'

/** `null`: the peer can take it. */
export function inability(extensions: Extensions, message: Message, nowMs: number): Verdict | null {
  return (
    expired(message, nowMs) ??
    withoutDeliverBy(extensions, message, nowMs) ??
    withoutUtf8(extensions, message) ??
    withoutEightBit(extensions, message) ??
    tooLarge(extensions, message)
  )
}

/** RFC 2852 §4.1.3. */
export function expired(message: Message, nowMs: number): Verdict | null {
  if (!mustReturn(message, nowMs)) return null
  const diagnostic = 'Delivery time expired: the sender asked for the message back then'
  return { action: 'failed', status: '5.4.7', diagnostic }
}

/**
 * RFC 2852 §4.1.4.1: with by-mode R only to a peer that has DELIVERBY, and whose minimum is not more than what is left.
 * "It must either attempt to follow any other MX records or […] return the message as undeliverable" (§6).
 */
function withoutDeliverBy(extensions: Extensions, message: Message, nowMs: number): Verdict | null {
  const { deliverBy } = message.envelope
  if (deliverBy?.mode !== 'R') return null
  if (!extensions.has('DELIVERBY')) {
    const diagnostic = 'The peer does not support DELIVERBY, which a message to be returned in time needs'
    return { action: 'next', status: '5.3.3', diagnostic }
  }
  const leastSeconds = extensions.leastDeliverBy
  const leftSeconds = remaining(deliverBy, nowMs - message.arrivedMs).seconds
  if (leastSeconds <= leftSeconds) return null
  const diagnostic = `The peer takes messages with at least ${leastSeconds} s left for delivery (DELIVERBY), this one has ${leftSeconds} s`
  return { action: 'next', status: '5.3.3', diagnostic }
}

/** RFC 6531 §3.2: another host of the destination may have it. */
function withoutUtf8(extensions: Extensions, message: Message): Verdict | null {
  if (!message.envelope.smtputf8 || extensions.has('SMTPUTF8')) return null
  const diagnostic = 'The peer does not support SMTPUTF8, which this message needs'
  return { action: 'next', status: '5.6.7', diagnostic }
}

/** RFC 6152 §3: converting it would break the signature. */
function withoutEightBit(extensions: Extensions, message: Message): Verdict | null {
  if (message.envelope.body !== '8BITMIME' || extensions.has('8BITMIME')) return null
  const diagnostic =
    'The peer does not support 8BITMIME, and converting the message would break its signature'
  return { action: 'next', status: '5.6.3', diagnostic }
}

/** RFC 1870 §6.1. */
function tooLarge(extensions: Extensions, message: Message): Verdict | null {
  const limit = extensions.size
  if (limit === undefined || message.sizeOctets <= limit) return null
  const diagnostic = `The message has ${message.sizeOctets} octets, the peer accepts ${limit} (SIZE)`
  return { action: 'failed', status: '5.3.4', diagnostic }
}
