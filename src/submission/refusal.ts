/**
 * Why a message is refused for its header section, in one table: docs/submission.md has the same, and a test compares them.
 * 554 is for syntax, 550 for what the user may not do (RFC 6409 §6.3).
 */

import { SmtpError } from '../smtp/error.ts'
import type { EnhancedStatusCode } from '../smtp/status.ts'

export interface Refusal {
  readonly code: number
  readonly status: EnhancedStatusCode
  /** What is refused. */
  readonly what: string
  readonly why: string
}

export const REFUSALS = {
  field: {
    code: 554,
    status: '5.6.0',
    what: 'A line of the header section that is no field and continues none',
    why: 'RFC 5322 §2.2. Some programs take it for the end of the header section',
  },
  name: {
    code: 554,
    status: '5.6.0',
    what: 'White space between the name of a field and its colon',
    why: 'Obsolete (RFC 5322 §4.5). Some programs do not know the field then, others end the header section',
  },
  fold: {
    code: 554,
    status: '5.6.0',
    what: 'A line of white space in the header section',
    why: 'Obsolete (RFC 5322 §4.2). Some programs take it for the empty line before the body',
  },
  characters: {
    code: 554,
    status: '5.6.0',
    what: 'Octets in the header section that are neither ASCII nor UTF-8',
    why: 'RFC 5322 §2.2, RFC 6532 §3. Nobody could know which letters they are: encode them (RFC 2047)',
  },
  utf8: {
    code: 554,
    status: '5.6.7',
    what: 'An address that is not ASCII in an address field, when MAIL did not say SMTPUTF8',
    why: 'RFC 6531 §3.4. A client that does not know such addresses could not be told of a failure',
  },
  once: {
    code: 554,
    status: '5.6.0',
    what: 'A field that may stand there once, more often (see below)',
    why: 'Some programs read the first, others the last: they would show and check different messages',
  },
  address: {
    code: 554,
    status: '5.6.0',
    what: 'Addresses that cannot be read; in `From`, `Sender`, `Resent-From` and `Resent-Sender` also obsolete forms and groups',
    why: 'RFC 6409 §5.1; RFC 5322 §4.4, RFC 6854 §3: programs do not agree on who wrote such a message',
  },
  word: {
    code: 554,
    status: '5.6.0',
    what: 'An encoded word in an address',
    why: 'RFC 2047 §5. Decoded it would be another address',
  },
  unqualified: {
    code: 554,
    status: '5.6.0',
    what: 'A domain without a dot in an address field',
    why: 'RFC 6409 §4.2: it means something in one place only',
  },
  author: {
    code: 554,
    status: '5.6.0',
    what: 'No `From`, or one without an address',
    why: 'RFC 5322 §3.6. There would be no author whose domain could sign',
  },
  sender: {
    code: 554,
    status: '5.6.0',
    what: '`Sender` with anything but one address',
    why: 'RFC 5322 §3.6.2: it is the one who transmits the message',
  },
  resent: {
    code: 554,
    status: '5.6.0',
    what: 'Resent fields without `Resent-From` or a `Resent-Date` that can be read; several addresses in `Resent-From` without `Resent-Sender`',
    why: 'RFC 5322 §3.6.6. Only the latest resending is looked at',
  },
  permission: {
    code: 550,
    status: '5.7.1',
    what: 'An address in `From`, `Sender`, `Resent-From` or `Resent-Sender` that is not among the `senders` of the user',
    why: 'RFC 6409 §6.3. A resent message is no exception: it would be signed in the name of its author',
  },
  shown: {
    code: 550,
    status: '5.7.1',
    what: 'Another address in a display name, comment, quoted string or encoded word of one of these fields, unless it is among the `senders` of the user',
    why: 'People, and programs that read addresses carelessly, take it for the author',
  },
  tls: {
    code: 554,
    status: '5.6.0',
    what: '`TLS-Required` with anything but `No`',
    why: 'RFC 8689 §3. TLS is asked for with REQUIRETLS at MAIL; this field cannot do it',
  },
  hops: {
    code: 554,
    status: '5.4.6',
    what: 'Too many `Received` fields (`hops`)',
    why: 'RFC 5321 §6.3',
  },
  loop: {
    code: 554,
    status: '5.4.6',
    what: 'Too many `Received` fields of this very server (`ownHops`)',
    why: 'RFC 5321 §6.3. Somewhere mail is taken from a mailbox and submitted again',
  },
} as const satisfies Record<string, Refusal>

export type Rule = keyof typeof REFUSALS

export function refusal(rule: Rule, text: string): SmtpError {
  const { code, status } = REFUSALS[rule]
  return new SmtpError(code, status, text)
}
