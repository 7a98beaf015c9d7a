/** What a server offers in its reply to EHLO, and what an extension is made of: the types of `extension-table.ts`. */

import type { Limits } from './limits.ts'
import type { MailParameters, Parameter, RcptParameters } from './parameter.ts'

/**
 * Extensions that ask for something after the message was taken: a server has those which its service honours, and none
 * beside them. Named as their parameters are in `envelope.ts`.
 */
export interface Offers {
  /** RFC 3461: RET= and ENVID= on MAIL, NOTIFY= and ORCPT= on RCPT. */
  readonly dsn?: true
  /** RFC 8689 §2: only under TLS. */
  readonly requireTls?: true
  /** RFC 9422: the limits in force are announced. They hold whether announced or not. */
  readonly limits?: true
  /** RFC 4865: HOLDFOR= and HOLDUNTIL=. For submission, not for relays (§4.2). */
  readonly futureRelease?: {
    /** The longest a message is held. */
    readonly longestSeconds: number
    /** Milliseconds since 1970, UTC: the last date-time that is accepted is announced. */
    readonly now: () => number
  }
  /** RFC 2852: BY=. */
  readonly deliverBy?: {
    /** §2: the least by-time with by-mode R. */
    readonly leastSeconds: number
  }
  /** RFC 6710: MT-PRIORITY=. */
  readonly priority?: {
    /** §9.2: the name of the Priority Assignment Policy; `null` does not disclose it. */
    readonly profile: string | null
  }
}

/** A server's condition at the moment of EHLO. */
export interface Offer {
  readonly limits: Limits
  readonly tls: 'implicit' | 'starttls' | 'none'
  readonly secure: boolean
  readonly auth: readonly string[]
  readonly hop: boolean
  readonly offers?: Offers
}

/** A parameter of MAIL or RCPT, there and back. */
export interface ParameterCodec<Parameters> {
  /** @throws SmtpError 501 5.5.4 */
  parse(parameter: Parameter): Partial<Parameters>
  /**
   * The esmtp-value; `null`: the keyword alone; `undefined`: nothing to say.
   * @param utf8 the peer has SMTPUTF8
   */
  format(parameters: Partial<Parameters>, utf8: boolean): string | null | undefined
}

export type Codecs<Parameters> = Readonly<Record<string, ParameterCodec<Parameters>>>

export interface Extension {
  readonly keyword: string
  /** What follows the keyword in the EHLO reply; `null`: not offered now. */
  offer(offer: Offer): string | null
  /** How much longer a command line may be for it (RFC 5321 §4.5.3.1.4). */
  readonly lineOctets?: number
  readonly mail?: Codecs<MailParameters>
  readonly rcpt?: Codecs<RcptParameters>
}
