/** msg-id, RFC 5322 §3.6.4. */

import { withoutComments } from './comment.ts'

// dot-atom-text (RFC 5322 §3.2.3, RFC 6532 §3.2) and no-fold-literal.
const LEFT = /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+(\.[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+)*$/u
const LITERAL = /^\[[!-Z^-~]*\]$/

/** `<id@domain>`. @throws RangeError when that would not be a msg-id. */
export function formatMessageId(id: string, domain: string): string {
  if (!LEFT.test(id)) throw new RangeError(`not the left side of a Message-ID: ${JSON.stringify(id)}`)
  if (!LEFT.test(domain) && !LITERAL.test(domain))
    throw new RangeError(`not the right side of a Message-ID: ${JSON.stringify(domain)}`)
  return `<${id}@${domain}>`
}

// More than msg-id, also more than its obsolete form: what programs take for the identifier is what the brackets hold.
const BRACKETED = /^<[^<>@\x00-\x20\x7f]+@[^<>\x00-\x20\x7f]+>$/

/** Whether the value of a Message-ID field has one identifier that others can refer to. */
export function isMessageId(text: string): boolean {
  return BRACKETED.test(withoutComments(text)?.replace(/[ \t]+/g, '') ?? '')
}
