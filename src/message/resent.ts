/** Resent fields, RFC 5322 §3.6.6: each resending puts a block of them before the message. */

import type { Field } from './header.ts'

/**
 * The fields of the latest resending; none when the message was not resent. A block ends where a trace field begins an
 * earlier one (§3.6.7), or where a field comes again: each stands in a block once.
 */
export function latestResent(header: readonly Field[]): Field[] {
  const block = new Map<string, Field>()
  for (const field of header) {
    const name = field.name.toLowerCase()
    if (name.startsWith('resent-')) {
      if (block.has(name)) break
      block.set(name, field)
    } else if (block.size > 0 && (name === 'received' || name === 'return-path')) break
  }
  return [...block.values()]
}
