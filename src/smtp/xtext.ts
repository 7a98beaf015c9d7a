/** xtext: any octets inside an esmtp-value, RFC 3461 §4. */

import { SmtpError } from './error.ts'

// xtext = *( xchar / hexchar ); hexchar = "+" and two upper case hexadecimal digits. Read in either case (RFC 4954 §8).
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*$/

/** The decoded octets as UTF-8 text. @throws SmtpError 501 5.5.4 */
export function decodeXtext(text: string): string {
  if (!XTEXT.test(text)) throw new SmtpError(501, '5.5.4', 'Malformed xtext')
  if (!text.includes('+')) return text
  const octets = text.replace(/\+(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(octets, 'latin1'))
  } catch (cause) {
    throw new SmtpError(501, '5.5.4', 'xtext is not UTF-8', { cause })
  }
}

export function encodeXtext(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(/[^!-*,-<>-~]/g, octet => `+${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
