/** The addresses of one field as a submission server wants them: readable, fully qualified, and sent as was agreed. */

import { parseAddressList, type ReadOptions } from '../message/address.ts'
import { type Field, fieldBody } from '../message/header.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { refusal } from './refusal.ts'

// encoded-word, RFC 2047 §2: each of its characters is atext, so it may look like a local-part.
const ENCODED_WORD = /=\?[^?]+\?[bq]\?[^?]*\?=/i

/**
 * @param smtputf8 whether MAIL said so
 * @throws SmtpError `address`, `word`, `utf8` or `unqualified` of `REFUSALS`
 */
export function mailboxesOf(field: Field, smtputf8: boolean, options: ReadOptions = {}): Mailbox[] {
  const { name } = field
  return parseAddressList(fieldBody(field), { ...options, field: name }).map(({ mailbox }) => {
    const shown = formatMailbox(mailbox)
    if (ENCODED_WORD.test(mailbox.localPart) || ENCODED_WORD.test(mailbox.domain))
      throw refusal('word', `The ${name} field has an encoded word in the address ${shown}`)
    if (!smtputf8 && /[^\0-\x7f]/.test(shown))
      throw refusal('utf8', `The ${name} field has an address that is not ASCII: say SMTPUTF8 with MAIL`)
    if (!mailbox.domain.startsWith('[') && !mailbox.domain.includes('.'))
      throw refusal('unqualified', `The ${name} field has ${shown}: write the domain whole`)
    return mailbox
  })
}
