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
  /** Only between ptt's own servers. */
  readonly xptt?: Xptt
}

export interface EnvelopeRecipient {
  readonly forwardPath: ForwardPath
}

/**
 * The XPTT= parameter of MAIL: the id a message keeps from submission to delivery, and the commit of the user
 * directory that authorised it. On the wire `XPTT=<id>` or `XPTT=<id>/<commit>`.
 */
export interface Xptt {
  readonly id: string
  readonly commit?: string
}
