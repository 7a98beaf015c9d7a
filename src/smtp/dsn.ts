/** Delivery status notifications, RFC 3461 §4: what the sender wants to hear, and how he knows it again. */

import type { Envelope, EnvelopeRecipient } from './envelope.ts'
import { SmtpError } from './error.ts'
import { LIMITS } from './limits.ts'
import { decodeXtext, encodeXtext } from './xtext.ts'

type Ret = NonNullable<Envelope['ret']>
type Notify = NonNullable<EnvelopeRecipient['notify']>
type OriginalRecipient = NonNullable<EnvelopeRecipient['originalRecipient']>

// §4.3: FULL or HDRS, in any case.
/** @throws SmtpError 501 5.5.4 */
export function parseRet(value: string): Ret {
  const ret = value.toUpperCase()
  if (ret !== 'FULL' && ret !== 'HDRS') throw new SmtpError(501, '5.5.4', 'RET is FULL or HDRS')
  return ret
}

// §4.4 and §4.2: before xtext printable, that is graphic or white space.
const PRINTABLE = /^[\t -~]*$/

// envid-parameter = "ENVID=" xtext, §4.4.
/** @throws SmtpError 501 5.5.4 */
export function parseEnvelopeId(value: string): string {
  if (value.length > LIMITS.envelopeIdOctets) throw tooLong('ENVID', LIMITS.envelopeIdOctets)
  const envelopeId = decodeXtext(value)
  if (!PRINTABLE.test(envelopeId)) throw new SmtpError(501, '5.5.4', 'ENVID is not printable ASCII')
  return envelopeId
}

// notify-esmtp-value = "NEVER" / 1#notify-list-element, §4.1; notify-list-element = "SUCCESS" / "FAILURE" / "DELAY".
/** @throws SmtpError 501 5.5.4 */
export function parseNotify(value: string): Notify {
  const elements = value.toUpperCase().split(',')
  // §4.1 note a: NEVER stands by itself.
  if (elements.length === 1 && elements[0] === 'NEVER') return []
  if (!elements.every(isNotifyElement)) {
    throw new SmtpError(501, '5.5.4', 'NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY')
  }
  return [...new Set(elements)]
}

export function formatNotify(notify: Notify): string {
  return notify.length === 0 ? 'NEVER' : notify.join(',')
}

const isNotifyElement = (word: string): word is Notify[number] =>
  word === 'SUCCESS' || word === 'FAILURE' || word === 'DELAY'

// original-recipient-address = addr-type ";" xtext, §4.2; addr-type = atom (RFC 822 §3.3, of what may stand in an esmtp-value).
const ORIGINAL_RECIPIENT = /^([!#-'*+\-/0-9?A-Z^-~]+);(.*)$/s

/** Whom the sender named: for type `utf-8` in any of the three forms of RFC 6533 §3. @throws SmtpError 501 5.5.4 */
export function parseOriginalRecipient(value: string): OriginalRecipient {
  const [, addressType, encoded = ''] = ORIGINAL_RECIPIENT.exec(value) ?? []
  if (addressType === undefined)
    throw new SmtpError(501, '5.5.4', 'ORCPT is an address type, ";" and an address')
  const address = isUtf8Type(addressType) ? decodeUnitext(encoded) : decodeXtext(encoded)
  const printable = isUtf8Type(addressType) ? !CONTROL.test(address) : PRINTABLE.test(address)
  if (!printable) throw new SmtpError(501, '5.5.4', 'ORCPT is not printable')
  const originalRecipient = { addressType, address }
  const longest = Math.max(octetsOf(value), octetsOf(formatOriginalRecipient(originalRecipient, true)))
  if (longest > LIMITS.originalRecipientOctets) throw tooLong('ORCPT', LIMITS.originalRecipientOctets)
  return originalRecipient
}

/**
 * @param utf8 the peer has SMTPUTF8: a `utf-8` address goes to it as it is, to others in ASCII (RFC 6533 §3)
 */
export function formatOriginalRecipient({ addressType, address }: OriginalRecipient, utf8: boolean): string {
  return `${addressType};${isUtf8Type(addressType) ? encodeUnitext(address, utf8) : encodeXtext(address)}`
}

const isUtf8Type = (addressType: string): boolean => addressType.toLowerCase() === 'utf-8'
const octetsOf = (text: string): number => Buffer.byteLength(text)
const CONTROL = /[\0-\x1f\x7f-\x9f]/

// EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"; QUCHAR has neither CTLs, SP, "\", "+" nor "=". RFC 6533 §3.
const EMBEDDED = /\\x\{([0-9A-Fa-f]{2,6})\}/g
const TO_BE_EMBEDDED = /[\0- +=\\\x7f]/gu
const TO_BE_EMBEDDED_IN_ASCII = /[\0- +=\\]|[^\0-~]/gu

// utf-8-enc-addr = utf-8-addr-xtext / utf-8-addr-unitext / utf-8-address. Some encode it as xtext all the same.
function decodeUnitext(encoded: string): string {
  const text = encoded.includes('+') ? decodeXtext(encoded) : encoded
  return text.replace(EMBEDDED, (_, hex) => {
    const point = Number.parseInt(hex, 16)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      throw new SmtpError(501, '5.5.4', `ORCPT: \\x{${hex}} is no character`)
    }
    return String.fromCodePoint(point)
  })
}

function encodeUnitext(address: string, utf8: boolean): string {
  return address.replace(utf8 ? TO_BE_EMBEDDED : TO_BE_EMBEDDED_IN_ASCII, character => {
    const point = character.codePointAt(0) ?? 0
    return `\\x{${point.toString(16).toUpperCase().padStart(2, '0')}}`
  })
}

function tooLong(keyword: string, octets: number): SmtpError {
  return new SmtpError(501, '5.5.4', `${keyword} is longer than ${octets} octets`)
}
