/** One message gets its signature, or a reply that says why not. Sign or defer, never pass (design decision 2). */

import { MessageSigner, type SigningKey } from '../dkim/sign.ts'
import { authorsOf } from '../message/address.ts'
import { parseHeader } from '../message/header.ts'
import { headerSection } from '../message/section.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { SmtpError } from '../smtp/error.ts'
import type { Mailbox } from '../smtp/path.ts'

/**
 * The authors of a message, who must be of the key's domain.
 * @throws SmtpError when there is none, or one of another domain
 */
export function authorsFor({ signingDomain }: SigningKey, content: readonly Uint8Array[]): Mailbox[] {
  return authorsOf(parseHeader(headerSection(content))).map(({ mailbox }) => {
    if (isWithin(mailbox.domain, signingDomain)) return mailbox
    // A signature of another domain than the author's is worth nothing to DMARC (RFC 9989, identifier alignment).
    const text = `From is ${mailbox.domain}, and the signer has a key for ${signingDomain} only`
    throw new SmtpError(550, '5.7.1', text)
  })
}

/**
 * @param content the message, in pieces; it is not changed, only preceded by what is returned
 * @returns the DKIM-Signature field, with its CRLF
 * @throws SmtpError when this message cannot be signed; any other error is ours, and the answer is temporary
 */
export function signMessage(
  key: SigningKey,
  content: readonly Uint8Array[],
  times: { readonly timestampSeconds: number; readonly expirationSeconds?: number },
): Promise<Uint8Array> {
  const signer = new MessageSigner(key, times)
  for (const piece of content) signer.update(piece)
  return signer.finish()
}

function isWithin(domain: string, signingDomain: string): boolean {
  const name = normalizeDomain(domain)
  return name === signingDomain || name.endsWith(`.${signingDomain}`)
}
