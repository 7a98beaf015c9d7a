/** The envelope of a message, RFC 5321 §2.3.1: what MAIL and RCPT said. */

import type { ForwardPath, ReversePath } from './path.ts'

export interface Envelope {
  readonly reversePath: ReversePath
  /** In the order of the RCPT commands; at least one. */
  readonly recipients: readonly EnvelopeRecipient[]
  /** BODY= of RFC 6152: whether the content has octets above 127. */
  readonly body: '7BIT' | '8BITMIME'
  /** RFC 6531: an address or a header field of this message is not ASCII. */
  readonly smtputf8: boolean
  /** SIZE= of RFC 1870, as declared. */
  readonly sizeOctets?: number
  /** AUTH= of RFC 4954 §5: who submitted it; `null` is `<>`, "not known". */
  readonly authenticatedAs?: string | null
  /** RET= of RFC 3461 §4.3: what of the content a failure notice returns. */
  readonly ret?: 'FULL' | 'HDRS'
  /** ENVID= of RFC 3461 §4.4, decoded from xtext. */
  readonly envelopeId?: string
  /** REQUIRETLS of RFC 8689 §2: never over a connection that is not protected and verified. */
  readonly requireTls?: true
  /** HOLDFOR= or HOLDUNTIL= of RFC 4865 §4: not to be attempted before. */
  readonly hold?: { readonly forSeconds: number } | { readonly untilMs: number }
  /** BY= of RFC 2852 §4: seconds from MAIL (negative: already over), then a return (R) or a notice of delay (N). */
  readonly deliverBy?: { readonly seconds: number; readonly mode: 'R' | 'N'; readonly trace: boolean }
  /** MT-PRIORITY= of RFC 6710 §3: from -9 to 9; 0 when not given. */
  readonly priority?: number
  /** Only between ptt's own servers. */
  readonly xptt?: Xptt
}

export interface EnvelopeRecipient {
  readonly forwardPath: ForwardPath
  /** NOTIFY= of RFC 3461 §4.1; empty is NEVER. Not given: FAILURE and, if the relay wants, DELAY. */
  readonly notify?: readonly ('SUCCESS' | 'FAILURE' | 'DELAY')[]
  /** ORCPT= of RFC 3461 §4.2: whom the sender named, decoded from xtext. */
  readonly originalRecipient?: { readonly addressType: string; readonly address: string }
}

/**
 * The XPTT= parameter of MAIL: the id a message keeps from submission to delivery, and the commit of the user
 * directory that authorised it. On the wire `XPTT=<id>` or `XPTT=<id>/<commit>`.
 */
export interface Xptt {
  readonly id: string
  readonly commit?: string
}
