/** msg-id, RFC 5322 §3.6.4. */

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
