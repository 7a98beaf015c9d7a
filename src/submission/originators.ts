/**
 * Who wrote a message and who sends it: From and Sender, RFC 5322 §3.6.2 with RFC 6854, and who resends it, §3.6.6. The
 * signature will vouch for From, so that whatever address any reader finds in it must be one the user may use
 * (RFC 6409 §6.3): there are as many ways to read From as there are programs.
 */

import type { User } from '../directory/directory.ts'
import { maySend } from '../directory/may-send.ts'
import { parseDate } from '../message/date.ts'
import { type Field, fieldBody } from '../message/header.ts'
import { addressShown } from '../message/shown-address.ts'
import { SmtpError } from '../smtp/error.ts'
import { formatMailbox, type Mailbox, parseMailbox } from '../smtp/path.ts'
import { mailboxesOf } from './header-addresses.ts'
import { refusal } from './refusal.ts'

/** Who submits, and what MAIL said of addresses. */
export interface Submitter {
  readonly user: User
  readonly smtputf8: boolean
}

/** @returns the authors. @throws SmtpError as `REFUSALS` has it. */
export function authorsIn(from: Field, submitter: Submitter): Mailbox[] {
  const authors = originators(from, submitter)
  if (authors.length === 0) throw refusal('author', `The ${from.name} field has no address`)
  return authors
}

/** Sender is one mailbox that the user may use. @throws SmtpError as `REFUSALS` has it. */
export function checkSender(sender: Field, submitter: Submitter): void {
  const { length } = originators(sender, submitter)
  if (length !== 1)
    throw refusal('sender', `The ${sender.name} field has ${length || 'no'} addresses: one is due`)
}

/** The fields of the latest resending. @throws SmtpError as `REFUSALS` has it. */
export function checkResent(block: readonly Field[], submitter: Submitter): void {
  if (block.length === 0) return
  const named = (name: string) => block.find(field => field.name.toLowerCase() === name)
  const from = named('resent-from')
  const date = named('resent-date')
  const sender = named('resent-sender')
  if (from === undefined) throw refusal('resent', 'The message was resent, but has no Resent-From field')
  if (date === undefined || parseDate(fieldBody(date)) === null)
    throw refusal('resent', 'The message was resent, but has no Resent-Date that can be read')
  const { length } = authorsIn(from, submitter)
  if (sender !== undefined) checkSender(sender, submitter)
  else if (length > 1)
    throw refusal('resent', 'Resent-From has several addresses, and there is no Resent-Sender')
}

/**
 * The Sender to be added to a message of several authors that has none (RFC 5322 §3.6.2, RFC 6409 §8.1): the user's own
 * address. Not added where one author is another of the user's addresses: it was given to him as his own, and his
 * login is nobody's business.
 */
export function missingSender(
  authors: readonly Mailbox[],
  sender: Field | undefined,
  submitter: Submitter,
): string | null {
  if (authors.length < 2 || sender !== undefined) return null
  const own = formatMailbox(submitter.user)
  if (!submitter.smtputf8 && /[^\0-\x7f]/.test(own))
    throw refusal('sender', 'From has several addresses: a Sender field is due (RFC 5322 section 3.6.2)')
  return own
}

function originators(field: Field, { user, smtputf8 }: Submitter): Mailbox[] {
  const mailboxes = mailboxesOf(field, smtputf8, { obsolete: false, groups: false })
  for (const mailbox of mailboxes) {
    checkAnswerable(field, mailbox)
    const decision = maySend(user, mailbox)
    if (!decision.allowed) throw refusal('permission', `${field.name}: ${decision.reason}`)
  }
  const shown = addressShown(fieldBody(field), mailbox => isAllowed(user, mailbox))
  if (shown !== null)
    throw refusal('shown', `${field.name} shows ${shown}: ${user.name} may not send as that`)
  return mailboxes
}

// What is special in an address even inside quotes: readers cut there.
const SPECIAL = /[()<>@,;:\\"[\]]/

/** An address of the header that could not stand in a RCPT is nobody's (RFC 5321 §4.1.2). */
function checkAnswerable(field: Field, mailbox: Mailbox): void {
  const shown = formatMailbox(mailbox)
  try {
    parseMailbox(shown, { utf8: true })
    if (!SPECIAL.test(mailbox.localPart)) return
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error
  }
  throw refusal('address', `The ${field.name} field is malformed: nobody could answer to ${shown}`)
}

function isAllowed(user: User, mailbox: Mailbox): boolean {
  try {
    return maySend(user, mailbox).allowed
  } catch (error) {
    // Not a domain at all.
    if (error instanceof SmtpError) return false
    throw error
  }
}
