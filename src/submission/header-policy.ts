/**
 * Which header sections are submitted, RFC 6409 §4.2, §5.1 and §6.3: those that all who handle the message read alike.
 * "It is better to reject a message than to risk sending one that is damaged" (§3.2): the author is told what to mend.
 */

import { charactersOf } from '../message/character.ts'
import { type Field, fieldBody } from '../message/header.ts'
import { isId } from '../message/id.ts'
import { readReceived } from '../message/received.ts'
import { latestResent } from '../message/resent.ts'
import type { Limits } from '../smtp/limits.ts'
import { mailboxesOf } from './header-addresses.ts'
import { authorsIn, checkResent, checkSender, missingSender, type Submitter } from './originators.ts'
import { refusal } from './refusal.ts'

/**
 * Fields that may stand in a header section once, each with the section that says so. RFC 5322 §4.5.3 says how several To
 * and Cc are to be read, but not that anybody may write them; large receivers refuse them.
 */
export const ONCE: readonly (readonly [section: string, names: readonly string[]])[] = [
  [
    'RFC 5322 §3.6',
    ['From', 'Sender', 'Reply-To', 'To', 'Cc', 'Date', 'Subject', 'Message-ID', 'In-Reply-To', 'References'],
  ],
  [
    'RFC 2045 §3',
    ['MIME-Version', 'Content-Type', 'Content-Transfer-Encoding', 'Content-ID', 'Content-Description'],
  ],
  ['RFC 2183 §2', ['Content-Disposition']],
  [
    'RFC 2369 §3',
    ['List-Help', 'List-Unsubscribe', 'List-Subscribe', 'List-Post', 'List-Owner', 'List-Archive'],
  ],
  ['RFC 8689 §3', ['TLS-Required']],
]
const ONCE_NAMES = new Map(ONCE.flatMap(([, names]) => names.map(name => [name.toLowerCase(), name])))

/** Address fields besides those that say who sends (RFC 5322 §3.6.2 and §3.6.3). */
const ADDRESS_FIELDS = ['reply-to', 'to', 'cc']
const RESENT_ADDRESS_FIELDS = new Set(['resent-reply-to', 'resent-to', 'resent-cc'])

export interface Policy extends Submitter {
  /** Our name in Received. */
  readonly hostname: string
  readonly limits: Pick<Limits, 'hops' | 'ownHops'>
}

/**
 * @param header the fields that will be sent
 * @returns the value of the Sender field that is missing
 * @throws SmtpError as `REFUSALS` has it
 */
export function checkHeader(header: readonly Field[], policy: Policy): { readonly sender: string | null } {
  checkForm(header)
  const fields = onlyOnes(header)
  const from = fields.get('from')
  if (from === undefined) throw refusal('author', 'The message has no From field (RFC 5322 section 3.6)')
  const authors = authorsIn(from, policy)
  const sender = fields.get('sender')
  if (sender !== undefined) checkSender(sender, policy)
  for (const name of ADDRESS_FIELDS) {
    const field = fields.get(name)
    if (field !== undefined) mailboxesOf(field, policy.smtputf8)
  }
  const resent = latestResent(header)
  checkResent(resent, policy)
  for (const field of resent)
    if (RESENT_ADDRESS_FIELDS.has(field.name.toLowerCase())) mailboxesOf(field, policy.smtputf8)
  const tls = fields.get('tls-required')
  if (tls !== undefined && !/^no$/i.test(fieldBody(tls)))
    throw refusal('tls', 'TLS-Required can only be No: ask for TLS with REQUIRETLS at MAIL (RFC 8689)')
  checkHops(header, policy)
  return { sender: missingSender(authors, sender, policy) }
}

/** Octets that readers take apart in different ways, whatever the field. */
function checkForm(header: readonly Field[]): void {
  for (const { name, octets } of header) {
    if (octets[name.length] !== COLON)
      throw refusal('name', `White space stands between "${name}" and its colon`)
    if (charactersOf(octets) === 'unknown')
      throw refusal('characters', `The ${name} field is neither ASCII nor UTF-8: encode it (RFC 2047)`)
    if (hasBlankLine(octets)) throw refusal('fold', `The ${name} field has a line of white space only`)
  }
}

const COLON = 0x3a
const LF = 0x0a

// Each line but the first of a field begins with white space.
const BLANK_LINE = /\n[ \t]+(?:\r|$)/

function hasBlankLine(octets: Uint8Array): boolean {
  if (octets.indexOf(LF) === octets.length - 1) return false
  return BLANK_LINE.test(Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1'))
}

/** The fields of `ONCE` by their names in lower case. */
function onlyOnes(header: readonly Field[]): Map<string, Field> {
  const fields = new Map<string, Field>()
  for (const field of header) {
    const name = field.name.toLowerCase()
    const written = ONCE_NAMES.get(name)
    if (written === undefined) continue
    if (fields.has(name)) throw refusal('once', `The message has more than one ${written} field`)
    fields.set(name, field)
  }
  return fields
}

/** RFC 5321 §6.3. */
function checkHops(header: readonly Field[], { hostname, limits }: Policy): void {
  const received = header.filter(({ name }) => name.toLowerCase() === 'received')
  if (received.length > limits.hops)
    throw refusal('hops', `Too many hops: the message has ${received.length} Received fields`)
  const own = received
    .map(readReceived)
    .filter(({ by, id }) => by.toLowerCase() === hostname.toLowerCase() && isId(id))
  if (own.length > limits.ownHops)
    throw refusal('loop', `Mail loop: the message was here ${own.length} times before`)
}
