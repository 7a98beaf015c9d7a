/**
 * Parameters of MAIL and RCPT, RFC 5321 §4.1.2: `KEY=value` pairs. Which are known is the extension table's business
 * (`extension.ts`); the parsers of their values are here.
 */

import type { Envelope, EnvelopeRecipient, Xptt } from './envelope.ts'
import { SmtpError } from './error.ts'
import { formatMailbox, parseMailbox } from './path.ts'
import { decodeXtext, encodeXtext } from './xtext.ts'

/** What MAIL said beside the reverse-path. */
export type MailParameters = Omit<Envelope, 'reversePath' | 'recipients'>

/** What RCPT said beside the forward-path. */
export type RcptParameters = Omit<EnvelopeRecipient, 'forwardPath'>

/** One esmtp-param as written: the keyword in upper case, `null` where there is no "=". */
export interface Parameter {
  readonly keyword: string
  readonly value: string | null
}

// esmtp-param = esmtp-keyword ["=" esmtp-value]
// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
// esmtp-value = 1*(%d33-60 / %d62-126) / UTF8-non-ascii (RFC 6531 §3.3)
const ESMTP_PARAM = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10ffff}]+))?$/u

// Mail-parameters = esmtp-param *(SP esmtp-param); Rcpt-parameters likewise.
/** @throws SmtpError 501 5.5.4 when one is malformed or comes twice. */
export function parseParameters(text: string): Parameter[] {
  const parameters: Parameter[] = []
  if (text === '') return parameters
  for (const part of text.split(' ')) {
    if (part === '') continue
    const [, keyword, value = null] = ESMTP_PARAM.exec(part) ?? []
    if (keyword === undefined) throw new SmtpError(501, '5.5.4', 'Malformed parameter')
    const name = keyword.toUpperCase()
    if (parameters.some(parameter => parameter.keyword === name)) {
      throw new SmtpError(501, '5.5.4', `Parameter ${name} given twice`)
    }
    parameters.push({ keyword: name, value })
  }
  return parameters
}

export function formatParameters(parameters: readonly Parameter[]): string {
  return parameters.map(({ keyword, value }) => (value === null ? keyword : `${keyword}=${value}`)).join(' ')
}

/** The value, where one is due. @throws SmtpError 501 5.5.4 */
export function requiredValue({ keyword, value }: Parameter): string {
  if (value === null) throw new SmtpError(501, '5.5.4', `${keyword} needs a value`)
  return value
}

/** @throws SmtpError 501 5.5.4 when there is a value. */
export function noValue({ keyword, value }: Parameter): true {
  if (value !== null) throw new SmtpError(501, '5.5.4', `${keyword} takes no value`)
  return true
}

// size-value ::= 1*20DIGIT, RFC 1870 §3. What no number holds exactly is too large for any message, and stays in 20 digits.
export function parseSize(value: string): number {
  if (!/^\d{1,20}$/.test(value)) throw new SmtpError(501, '5.5.4', 'SIZE is not a number of octets')
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

// body-value ::= "7BIT" / "8BITMIME", RFC 6152 §2; "BINARYMIME", RFC 3030 §3.
/** @throws SmtpError 555 5.6.3 for BINARYMIME, which is not offered; 501 5.5.4 for what is none of the three. */
export function parseBody(value: string): Envelope['body'] {
  const body = value.toUpperCase()
  if (body === 'BINARYMIME') throw BINARYMIME
  if (body !== '7BIT' && body !== '8BITMIME') throw new SmtpError(501, '5.5.4', 'BODY is 7BIT or 8BITMIME')
  return body
}

/**
 * RFC 3030 §3: whoever takes a binary message must pass it on so, or convert it. Few servers take one; after the signature
 * converting would break it; before, it would rewrite MIME parts that are their author's (and break those he signed).
 */
const BINARYMIME = new SmtpError(
  555,
  '5.6.3',
  'BINARYMIME is not offered: few servers take it, and converting would alter the message; send it in base64',
)

// auth-param = "AUTH=" xtext, RFC 4954 §8: a <mailbox> or "<>".
export function parseAuthParameter(value: string): string | null {
  const identity = decodeXtext(value)
  if (identity === '<>') return null
  try {
    return formatMailbox(parseMailbox(identity, { utf8: true }))
  } catch (cause) {
    throw new SmtpError(501, '5.5.4', 'AUTH is neither a mailbox nor <>', { cause })
  }
}

export function formatAuthParameter(identity: string | null): string {
  return encodeXtext(identity ?? '<>')
}

// XPTT=<id> or XPTT=<id>/<commit>: an id is letters and digits, a commit 40 or 64 hexadecimal digits.
const XPTT = /^([0-9A-Za-z]{1,64})(?:\/([0-9a-f]{40}|[0-9a-f]{64}))?$/

export function parseXptt(value: string): Xptt {
  const [, id, commit] = XPTT.exec(value) ?? []
  if (id === undefined) throw new SmtpError(501, '5.5.4', 'Malformed XPTT parameter')
  return commit === undefined ? { id } : { id, commit }
}

export function formatXptt({ id, commit }: Xptt): string {
  return commit === undefined ? id : `${id}/${commit}`
}
