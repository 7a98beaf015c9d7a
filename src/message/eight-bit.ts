/** Whether a message needs 8BITMIME on its way (RFC 6152 §3), whatever its sender declared. */

import { isAscii } from 'node:buffer'

export function isEightBit(content: readonly Uint8Array[]): boolean {
  return content.some(piece => !isAscii(piece))
}
