/** What a server session is made with, and what it tells. */

import type { EnvelopeRecipient } from './envelope.ts'
import type { Limits } from './limits.ts'
import type { Offers } from './offer.ts'
import type { MailParameters, RcptParameters } from './parameter.ts'
import type { ReversePath } from './path.ts'
import type { Reply } from './reply.ts'
import type { Credentials, SaslOptions } from './sasl.ts'

export interface ServerOptions {
  readonly hostname: string
  readonly limits: Limits
  /** implicit: secured from the first octet. starttls: STARTTLS is offered until secured. none: neither. */
  readonly tls: 'implicit' | 'starttls' | 'none'
  /** MAIL (and AUTH) before TLS is 530 5.7.0. */
  readonly tlsRequired: boolean
  /** SASL mechanisms, offered once secured (`channel()` may say which of them); none: no AUTH. */
  readonly auth: readonly string[]
  /** What some mechanisms need. */
  readonly sasl?: SaslOptions
  /** MAIL before AUTH is 530 5.7.0. */
  readonly authRequired: boolean
  /**
   * ptt's own hop: XPTT in EHLO; XPTT=, AUTH= and the hold parameters on MAIL; all or nothing: once a RCPT was refused DATA
   * and BDAT answer 554 5.5.1.
   */
  readonly hop: boolean
  /** Extensions that the service honours: DSN and what is like it. Not given: none. */
  readonly offers?: Offers
}

export type ServerEvent =
  /** The core answered by itself: write `octets`. `verb` is empty where there was none. */
  | {
      readonly type: 'reply'
      readonly verb: string
      readonly reply: Reply
      readonly octets: Uint8Array
      /** It is the service's own answer to `auth`, held back until now. */
      readonly verdict?: true
    }
  /** Write `reply(220 2.0.0)`, do the handshake, call `secured()`. A negative reply leaves the session in clear. */
  | { readonly type: 'starttls' }
  /** SCRAM asks for what is kept of the user's password: answer with `verifier()`, or refuse with `reply()`. */
  | { readonly type: 'verifier'; readonly mechanism: string; readonly username: string }
  /** Answer with `reply()`: 235 2.7.0, 535 5.7.8, 454 4.7.0. It may be held back while the mechanism says its last. */
  | { readonly type: 'auth'; readonly credentials: Credentials }
  /** Answer with `reply()`. */
  | { readonly type: 'mail'; readonly reversePath: ReversePath; readonly parameters: MailParameters }
  /** Answer with `reply()`. */
  | { readonly type: 'rcpt'; readonly recipient: EnvelopeRecipient; readonly parameters: RcptParameters }
  /** Content, checked and without transparency; a subarray of the chunk where it can be. No answer. */
  | { readonly type: 'content'; readonly octets: Uint8Array }
  /** Whole: answer with `reply()`. Only a 2xx means that we took responsibility (RFC 5321 §6.1). */
  | { readonly type: 'message'; readonly sizeOctets: number }
  /** The transaction is over without a message: drop what you hold. No answer. */
  | { readonly type: 'reset' }
  /** After writing what was answered, close. No more events come. */
  | { readonly type: 'close' }

/** Events that the caller answers. */
export type Question = Extract<
  ServerEvent,
  { readonly type: 'starttls' | 'verifier' | 'auth' | 'mail' | 'rcpt' | 'message' }
>

export function isQuestion(event: ServerEvent): event is Question {
  const { type } = event
  return type !== 'content' && type !== 'reply' && type !== 'reset' && type !== 'close'
}
