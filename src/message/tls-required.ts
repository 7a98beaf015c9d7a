/** TLS-Required, RFC 8689 §3: the sender wants a message delivered even where it cannot be protected. */

import { fieldBody, fieldsNamed, parseHeader } from './header.ts'
import { headerSection } from './section.ts'

/** Whether the message says `TLS-Required: No`; one that cannot be read says nothing. */
export function saysTlsNotRequired(content: readonly Uint8Array[]): boolean {
  try {
    const said = fieldsNamed(parseHeader(headerSection(content)), 'TLS-Required')
    // §3: at most one, and "No" is all it can say.
    return said.length === 1 && said.every(one => fieldBody(one).trim().toLowerCase() === 'no')
  } catch {
    return false
  }
}
