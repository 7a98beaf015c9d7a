/** The Authentication-Results field, RFC 8601: only who claims to have written it. */

import { type Field, fieldBody } from './header.ts'

export interface AuthenticationService {
  /** authserv-id, without quotes. */
  readonly id: string
  /** authres-version; 1 when not said. */
  readonly version: number
}

// token of RFC 2045 §5.1, with the UTF-8 of RFC 6532.
const TOKEN = /[^\x00-\x20\x7f()<>@,;:\\"/[\]?=]+/uy
const QUOTED = /"((?:[^"\\]|\\.)*)"/suy
const CFWS = /(?:\s|\((?:[^()\\]|\\.)*\))*/suy

// authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS]
/** `null` when it cannot be read, comments in comments among the reasons: nobody should trust what else it says. */
export function authenticationService(field: Field): AuthenticationService | null {
  const text = fieldBody(field)
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    at += found?.[0].length ?? 0
    return found
  }
  take(CFWS)
  const quoted = take(QUOTED)?.[1]
  const id = quoted === undefined ? take(TOKEN)?.[0] : quoted.replace(/\\(.)/gsu, '$1')
  take(CFWS)
  const version = take(/\d+/y)?.[0] ?? '1'
  take(CFWS)
  if (!id || (at < text.length && text.charAt(at) !== ';')) return null
  return { id, version: Number(version) }
}
