/** Octets of a SASL message as text, and what may stand in it. */

import { SmtpError } from '../error.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws SmtpError 501 5.5.2 */
export function textOf(octets: Uint8Array): string {
  const text = utf8OrNull(octets)
  if (text === null) throw new SmtpError(501, '5.5.2', 'Credentials are not UTF-8')
  return text
}

export function utf8OrNull(octets: Uint8Array): string | null {
  try {
    return UTF8.decode(octets)
  } catch {
    return null
  }
}

/** The client broke the mechanism's own grammar. */
export const malformed = (what: string): SmtpError => new SmtpError(501, '5.5.2', `Malformed ${what}`)
