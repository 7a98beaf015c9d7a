/** What a verifier hashes of a message. */

import type { Field } from '../src/message/header.ts'

/** Each name of h= takes the last field of that name not yet taken, or nothing (RFC 6376 §5.4.2). */
export function fieldsTaken(header: readonly Field[], names: readonly string[]): Field[] {
  const left = [...header]
  return names.flatMap(name => {
    const last = left.findLastIndex(field => field.name.toLowerCase() === name.toLowerCase())
    return last < 0 ? [] : left.splice(last, 1)
  })
}
