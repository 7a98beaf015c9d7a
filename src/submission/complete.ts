/**
 * What a submission server makes of a message, RFC 6409 §8: Received always; Date, Message-ID and Sender where they are
 * missing; some fields are taken out. What is added goes before the header section; the fields that stay and the body
 * stay as they are, octet for octet.
 */

import type { User } from '../directory/directory.ts'
import { charactersOf } from '../message/character.ts'
import { withoutComments } from '../message/comment.ts'
import { formatDate } from '../message/date.ts'
import { isEightBit } from '../message/eight-bit.ts'
import { type Field, field, fieldBody, parseHeader } from '../message/header.ts'
import { formatMessageId } from '../message/message-id.ts'
import { formatReceived, type Stamp } from '../message/received.ts'
import { headerSection } from '../message/section.ts'
import type { Envelope } from '../smtp/envelope.ts'
import type { Limits } from '../smtp/limits.ts'
import { formatPath } from '../smtp/path.ts'
import { checkHeader } from './header-policy.ts'
import { isRemoved } from './removal.ts'

export interface Submission {
  readonly stamp: Stamp
  readonly user: User
  readonly envelope: Pick<Envelope, 'smtputf8' | 'reversePath' | 'recipients'>
  /** The deployment's own: for Message-ID. */
  readonly domain: string
  readonly limits: Pick<Limits, 'hops' | 'ownHops'>
  /** Whether `content` is the whole message, or its beginning with the whole header section. */
  readonly whole: boolean
}

export interface Completed {
  /** What to send on, in pieces. */
  readonly content: Uint8Array[]
  /** Whether the message has to be sent with SMTPUTF8, whatever its client said. */
  readonly smtputf8: boolean
  /** The names of the fields. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** What is added when, and why; docs/submission.md has the same. */
export const ADDED = {
  Received: ['Always', 'RFC 5321 §4.4'],
  Date: ['When there is none, or none that can be read', 'RFC 6409 §8.2'],
  'Message-ID': ['When there is none, or none that others could refer to', 'RFC 6409 §8.3'],
  Sender: [
    'When `From` has several addresses and there is no `Sender`: the address of the user',
    'RFC 6409 §8.1, RFC 5322 §3.6.2',
  ],
} as const
/**
 * @param content the message as it came, in pieces
 * @throws SmtpError when the header section is not one to be submitted (`REFUSALS`)
 */
export function complete(content: readonly Uint8Array[], submission: Submission): Completed {
  const { stamp, user, envelope, domain, limits } = submission
  const section = headerSection(content)
  const header = parseHeader(section)
  const kept = header.filter(field => !isRemoved(field, [stamp.by, domain]))
  const { sender } = checkHeader(kept, { user, smtputf8: envelope.smtputf8, hostname: stamp.by, limits })
  const has = (name: string) => kept.some(field => field.name.toLowerCase() === name)
  const added: Field[] = [{ name: 'Received', octets: formatReceived(stamp) }]
  if (!has('date')) added.push(field('Date', formatDate(stamp.dateMs, stamp.offsetMinutes ?? 0)))
  if (!has('message-id')) added.push(field('Message-ID', formatMessageId(stamp.id, domain)))
  if (sender !== null) added.push(field('Sender', sender))
  const stays = new Set(kept)
  return {
    content: [...added.map(({ octets }) => octets), ...without(content, section, header, stays)],
    smtputf8: needsSmtputf8(kept, content, submission),
    added: added.map(({ name }) => name),
    removed: header.filter(field => !stays.has(field)).map(({ name }) => name),
  }
}

/** `content` without the fields of its header section that do not stay. Nothing is copied. */
function without(
  content: readonly Uint8Array[],
  section: Uint8Array,
  header: readonly Field[],
  stays: ReadonlySet<Field>,
): Uint8Array[] {
  const runs: Uint8Array[] = []
  let begin = 0
  let end = 0
  for (const field of header) {
    const next = end + field.octets.length
    if (!stays.has(field)) {
      if (end > begin) runs.push(section.subarray(begin, end))
      begin = next
    }
    end = next
  }
  return [...runs, ...behind(content, begin)]
}

function behind(content: readonly Uint8Array[], offset: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let skip = offset
  for (const piece of content) {
    if (skip < piece.length) pieces.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.length)
  }
  return pieces
}

/**
 * RFC 6531 §3.4: a header in UTF-8 must not go to a server without SMTPUTF8, also when the client did not say so (an address
 * beyond ASCII was refused then). And a message that is all ASCII must not fail at such a server because its client says
 * SMTPUTF8 with every message, as some do.
 */
function needsSmtputf8(
  kept: readonly Field[],
  content: readonly Uint8Array[],
  { envelope, whole }: Submission,
): boolean {
  if (kept.some(({ octets }) => charactersOf(octets) !== 'ascii')) return true
  if (!envelope.smtputf8) return false
  const paths = [envelope.reversePath, ...envelope.recipients.map(({ forwardPath }) => forwardPath)]
  if (paths.some(path => /[^\0-\x7f]/.test(formatPath(path)))) return true
  if (whole && !isEightBit(content)) return false
  // The header sections of parts may be in UTF-8 (RFC 6532 §3.6): the client's word counts.
  return kept.some(field => field.name.toLowerCase() === 'content-type' && hasParts(field))
}

function hasParts(contentType: Field): boolean {
  const type = withoutComments(fieldBody(contentType))?.trim() ?? ''
  return !/^(?:text|image|audio|video|application)\//i.test(type)
}
