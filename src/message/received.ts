/** The trace field a server puts before a message it accepts, RFC 5321 §4.4; and read again, to find loops (§6.3). */

import type { Mailbox } from '../smtp/path.ts'
import { formatPath } from '../smtp/path.ts'
import { withoutComments } from './comment.ts'
import { formatDate } from './date.ts'
import { type Field, fieldBody } from './header.ts'

export interface Stamp {
  /** What EHLO or HELO said. */
  readonly from: string
  /** The client's IP address, as the connection has it. */
  readonly address: string
  /** `cipher`: the name registered by IANA (RFC 8314 §4.3). */
  readonly tls?: { readonly version: string; readonly cipher: string }
  /** Our own host name. */
  readonly by: string
  /** ESMTPSA and the like, RFC 3848 and RFC 6531 §4.3. */
  readonly protocol: string
  readonly id: string
  /** The commit of users that allowed it: its first digits are shown, so that whoever has the message can ask why. */
  readonly commit?: string
  /** Only when the message has one recipient: another's address is nobody's business (RFC 5321 §7.2). */
  readonly for?: Mailbox
  /** MT-PRIORITY as the message goes on with it (RFC 6710 §4.1 (2)). */
  readonly priority?: number
  readonly dateMs: number
  /** Of the local time, east of UTC. */
  readonly offsetMinutes?: number
}

// Domain or address-literal, RFC 5321 §4.1.2: anything else cannot stand in a FROM clause.
const EXTENDED_DOMAIN = /^(?:[A-Za-z0-9_\u0080-\u{10ffff}]([\w.\u0080-\u{10ffff}-]*)|\[[A-Za-z0-9.:-]+\])$/u
const TLS_CIPHER = /^[A-Za-z]\w*$/
const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/
/** What Git takes for the whole in any repository of users. */
const COMMIT_DIGITS = 12
const LINE_PREFERRED = 78

/** The field with its CRLF, folded between its clauses to 78 characters. */
export function formatReceived(stamp: Stamp): Uint8Array {
  const literal = addressLiteral(stamp.address)
  const clauses = [
    // A client that presents no domain is named by what we know of it.
    `from ${EXTENDED_DOMAIN.test(stamp.from) && stamp.from.length <= 255 ? stamp.from : literal}`,
    `(${literal})`,
    `by ${stamp.by}`,
    `with ${stamp.protocol}`,
    `id ${stamp.id}`,
  ]
  if (stamp.commit && COMMIT.test(stamp.commit))
    clauses.push(`(commit ${stamp.commit.slice(0, COMMIT_DIGITS)})`)
  if (stamp.for) clauses.push(`for ${formatPath(stamp.for)}`)
  // RFC 8314 §4.3: tls-cipher-clause; the version is a comment.
  if (stamp.tls && TLS_CIPHER.test(stamp.tls.cipher))
    clauses.push(`tls ${stamp.tls.cipher}`, `(${stamp.tls.version.replace(/[^\w.]/g, '')})`)
  // RFC 6710 §7: Pri.
  if (stamp.priority !== undefined) clauses.push(`priority ${stamp.priority}`)
  const last = clauses.length - 1
  clauses[last] = `${clauses[last]};`
  clauses.push(formatDate(stamp.dateMs, stamp.offsetMinutes))
  let folded = ''
  let line = 'Received:'
  for (const clause of clauses) {
    if (line.length + 1 + clause.length > LINE_PREFERRED) {
      folded += `${line}\r\n`
      line = ` ${clause}`
    } else line += ` ${clause}`
  }
  return Buffer.from(`${folded}${line}\r\n`)
}

// RFC 5321 §4.1.3. A socket for both families shows IPv4 peers as ::ffff:192.0.2.1, and link-local ones with their zone.
function addressLiteral(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  return bare.includes(':') ? `[IPv6:${bare}]` : `[${bare}]`
}

/** Who says in a Received field that he took the message, and under which id: nothing that could be relied on. */
export function readReceived(received: Field): { readonly by: string; readonly id: string } {
  const text = withoutComments(fieldBody(received)) ?? ''
  const clause = (name: string) => new RegExp(`(?:^|\\s)${name}\\s+([^\\s;]+)`, 'i').exec(text)?.[1] ?? ''
  return { by: clause('by'), id: clause('id') }
}
