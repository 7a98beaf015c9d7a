/** What a header section is written in: ASCII (RFC 5322 §2.2), UTF-8 (RFC 6532 §3.2), or what neither allows. */

import { isAscii, isUtf8 } from 'node:buffer'

export function charactersOf(octets: Uint8Array): 'ascii' | 'utf-8' | 'unknown' {
  if (isAscii(octets)) return 'ascii'
  return isUtf8(octets) ? 'utf-8' : 'unknown'
}
