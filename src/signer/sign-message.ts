/** One message gets its signatures, or a reply that says why not. Sign or defer, never pass (design decision 2). */

import { foldMailbox } from '../directory/may-send.ts'
import { MessageSigner, type SignerOptions, type SigningKey } from '../dkim/sign.ts'
import { authorsOf } from '../message/address.ts'
import { type Field, parseHeader } from '../message/header.ts'
import { headerSection } from '../message/section.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { SmtpError } from '../smtp/error.ts'
import { type Mailbox, parseMailbox, sameMailbox } from '../smtp/path.ts'

/** Who has written a message, and which domains have to answer for it. */
export interface Authors {
  /** The fields of the message: what is looked for in it is signed as it was found. */
  readonly header: readonly Field[]
  readonly authors: readonly Mailbox[]
  /** Of each author the closest of our domains, each once: d= of the signatures the message must have. */
  readonly signingDomains: readonly string[]
}

/**
 * The authors of a message, each of whom must be of one of our domains or below it.
 * @param domains those there are keys for: A-labels, lower case
 * @throws SmtpError when there is no author, or one of another domain
 */
export function authorsFor(domains: ReadonlySet<string>, content: readonly Uint8Array[]): Authors {
  const signingDomains = new Set<string>()
  const header = parseHeader(headerSection(content))
  const authors = authorsOf(header).map(({ mailbox }) => {
    const closest = closestOf(domains, mailbox.domain)
    if (closest !== undefined) {
      signingDomains.add(closest)
      return mailbox
    }
    // A signature of another domain than the author's is worth nothing to DMARC (RFC 9989, identifier alignment).
    const todo = 'write from an address of a domain that has one, or have its administrator make one'
    throw new SmtpError(
      550,
      '5.7.1',
      `From is of ${mailbox.domain}, and the signer has no key for it: ${todo}`,
    )
  })
  return { header, authors, signingDomains: [...signingDomains] }
}

/** Of `a.b.example.com` itself, then `b.example.com`, and so on: the first that is there. */
function closestOf(domains: ReadonlySet<string>, domain: string): string | undefined {
  for (let name = normalizeDomain(domain); ; ) {
    if (domains.has(name)) return name
    const dot = name.indexOf('.')
    if (dot < 0) return undefined
    name = name.slice(dot + 1)
  }
}

/**
 * i= (RFC 6376 §3.5): the user who has signed in, when he is also the one author. Then the signer knows that the author
 * named is the author, and a receiver may hold users of one domain apart. In every other case (an alias, several authors, a
 * notice) the domain alone answers for the message: which account stands behind an alias is not for recipients to read. So
 * it does for a user of a domain below d=: the record of the key, which need not be ours, may forbid that by t=s (§3.6.1).
 * @param authenticatedAs AUTH= (RFC 4954 §5)
 */
export function identityOf(
  authenticatedAs: string | null | undefined,
  { authors, signingDomains }: Authors,
): Mailbox | undefined {
  const [author, ...others] = authors
  if (authenticatedAs == null || author === undefined || others.length > 0) return undefined
  const user = mailboxOf(authenticatedAs)
  if (user === null || !sameMailbox(user, foldMailbox(author))) return undefined
  return signingDomains.every(domain => user.domain === domain) ? user : undefined
}

/** Folded: one user has one AUID, however he writes himself. `null`: a name that is no mailbox. */
function mailboxOf(name: string): Mailbox | null {
  try {
    return foldMailbox(parseMailbox(name, { utf8: true }))
  } catch {
    return null
  }
}

/**
 * So much of a message is hashed in one turn of the event loop. What takes longest, hundreds of thousands of empty lines,
 * takes a millisecond (bench/sign.ts).
 */
const SLICE_OCTETS = 256 * 1024

/**
 * @param keys those of the author's domain: the message gets a signature of each, or none
 * @param content the message, in pieces; it is not changed, only preceded by what is returned
 * @returns the DKIM-Signature fields, each with its CRLF, in the order of the keys
 * @throws SmtpError when this message cannot be signed; any other error is ours, and the answer is temporary
 */
export async function signMessage(
  keys: readonly SigningKey[],
  content: readonly Uint8Array[],
  options: SignerOptions,
): Promise<Uint8Array> {
  const signer = new MessageSigner(keys, options)
  let left = SLICE_OCTETS
  for (const piece of content) {
    for (let at = 0; at < piece.length; ) {
      if (left === 0) {
        await turn()
        left = SLICE_OCTETS
      }
      const slice = piece.subarray(at, at + left)
      signer.update(slice)
      at += slice.length
      left -= slice.length
    }
  }
  return signer.finish()
}

const waiting: (() => void)[] = []

/** The next turn that is free. One goes to one message: however many large ones there are, nobody waits for two slices. */
function turn(): Promise<void> {
  return new Promise(resolve => {
    if (waiting.push(resolve) === 1) setImmediate(nextTurn)
  })
}

function nextTurn(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(nextTurn)
}
