/**
 * What a SASL mechanism (RFC 4422) is here: a small state machine for either side that knows nothing of lines, base64,
 * reply codes or users. What only others know it asks for; who may pass is the service's decision alone.
 */

import type { Reply } from '../reply.ts'
import type { ScramClientCrypto, ScramCrypto, ScramVerifier } from './scram.ts'

/** What a client showed of itself. */
export type Credentials = PasswordCredentials | ScramCredentials | TokenCredentials | ExternalCredentials

interface Shown {
  readonly mechanism: string
  /** Whom to act as; empty: as who he is (RFC 4422 §3.4.1). */
  readonly authorizationIdentity: string
}

/** PLAIN, LOGIN. */
export interface PasswordCredentials extends Shown {
  readonly type: 'password'
  readonly authenticationIdentity: string
  readonly password: string
}

/** SCRAM. The mechanism has compared; the service still decides, in the words it has for all. */
export interface ScramCredentials extends Shown {
  readonly type: 'scram'
  readonly authenticationIdentity: string
  /** `null`: the client knows the password. Else why not, for the log. */
  readonly failure: string | null
  /** From 1 on, which of the verifier's `others` it was; not there: the verifier itself. */
  readonly keys?: number
}

/** OAUTHBEARER, XOAUTH2. */
export interface TokenCredentials extends Shown {
  readonly type: 'token'
  /** Empty: the client has none and wants to be told what kind is wanted (RFC 7628 §4.3). */
  readonly token: string
  /** The server's name as the client knows it, where it says so. */
  readonly host: string | null
}

/** EXTERNAL: whatever the channel below shows. */
export interface ExternalCredentials extends Shown {
  readonly type: 'external'
}

/** What a server's mechanism makes of a response. */
export type ServerStep =
  | { readonly type: 'challenge'; readonly challenge: Uint8Array }
  /** To be answered with `verifier()`. */
  | { readonly type: 'verifier'; readonly username: string }
  | { readonly type: 'credentials'; readonly credentials: Credentials }

/** One exchange. */
export interface ServerMechanism {
  /** `null`: the client gave no initial response. @throws SmtpError */
  start(initialResponse: Uint8Array | null): ServerStep
  /** @throws SmtpError */
  respond(response: Uint8Array): ServerStep
  /** The challenge that follows. */
  verifier?(verifier: ScramVerifier): Uint8Array
  /** The credentials were judged. What the client is to be told before it hears `verdict`; `null`: nothing. */
  conclude?(verdict: Reply): Uint8Array | null
}

/** What mechanisms need that a service has. */
export interface SaslOptions {
  /** For SCRAM. */
  readonly scram?: ScramCrypto
  /** For OAUTHBEARER and XOAUTH2: the scope a token must have, told to clients whose token is refused (RFC 7628 §3.2.2). */
  readonly scope?: string | undefined
}

/** And what the session has. */
export interface ServerContext extends SaslOptions {
  /** The mechanisms of this session: what a client was offered decides what it may say of channel bindings. */
  readonly offered: readonly string[]
  readonly channelBinding: ChannelBinding | null
}

/** The `tls-exporter` of the TLS connection below (RFC 9266), made when it is asked for. */
export type ChannelBinding = () => Uint8Array

/** What a client shows. */
export interface ClientCredentials {
  readonly username: string
  readonly password: string
  readonly authorizationIdentity?: string
}

/** What SCRAM needs of whoever uses it. */
export interface ClientContext {
  readonly scram?: ScramClientCrypto
  /** `null`: there is none, and no -PLUS. */
  readonly channelBinding?: ChannelBinding | null
}

export interface ClientMechanism {
  /** `null` where the server begins. */
  readonly initialResponse: Uint8Array | null
  /** `null`: cancel, the challenge makes no sense. */
  respond(challenge: Uint8Array): Uint8Array | null
  /** The server may say now that it has authenticated us: where it must prove itself too, it has. */
  readonly satisfied: boolean
}

/** A challenge or a response that contains no data (RFC 4954 §4). */
export const EMPTY = new Uint8Array(0)
