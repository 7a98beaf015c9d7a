/**
 * SASL (RFC 4422) as SMTP carries it (RFC 4954 §4): mechanisms as small state machines, for either side, that know
 * nothing of lines, base64 or reply codes.
 */

import { SmtpError } from './error.ts'

/** What a client showed: whether it is right is the service's business. */
export interface PlainCredentials {
  readonly mechanism: string
  /** Whom to act as; empty: as himself (RFC 4616 §2). */
  readonly authorizationIdentity: string
  readonly authenticationIdentity: string
  readonly password: string
}

/** What a server-side mechanism makes of a response. */
export type ServerStep =
  | { readonly type: 'challenge'; readonly challenge: Uint8Array }
  | { readonly type: 'credentials'; readonly credentials: PlainCredentials }

/** One exchange. */
export interface ServerMechanism {
  /** `null`: the client gave no initial response. @throws SmtpError */
  start(initialResponse: Uint8Array | null): ServerStep
  /** @throws SmtpError */
  respond(response: Uint8Array): ServerStep
}

/** By name in upper case, as AUTH and EHLO have it. */
export const SERVER_MECHANISMS: ReadonlyMap<string, () => ServerMechanism> = new Map([
  ['PLAIN', plainServer],
  ['LOGIN', loginServer],
])

/** A server challenge that contains no data (RFC 4954 §4). */
const EMPTY = new Uint8Array(0)

// message = [authzid] UTF8NUL authcid UTF8NUL passwd, RFC 4616 §2.
function plainServer(): ServerMechanism {
  const respond = (response: Uint8Array): ServerStep => {
    const [authorizationIdentity = '', authenticationIdentity, password, ...more] = text(response).split('\0')
    if (authenticationIdentity === undefined || password === undefined || more.length > 0) {
      throw new SmtpError(501, '5.5.2', 'Malformed PLAIN message')
    }
    return credentials('PLAIN', authorizationIdentity, authenticationIdentity, password)
  }
  return {
    start: initial => (initial === null ? { type: 'challenge', challenge: EMPTY } : respond(initial)),
    respond,
  }
}

/** draft-murchison-sasl-login-00: obsolete, and what many programs still speak. An initial response is the name. */
function loginServer(): ServerMechanism {
  let name: string | null = null
  const respond = (response: Uint8Array): ServerStep => {
    if (name !== null) return credentials('LOGIN', '', name, text(response))
    name = text(response)
    return { type: 'challenge', challenge: PASSWORD_PROMPT }
  }
  return {
    start: initial =>
      initial === null ? { type: 'challenge', challenge: USERNAME_PROMPT } : respond(initial),
    respond,
  }
}

const USERNAME_PROMPT = Buffer.from('Username:')
const PASSWORD_PROMPT = Buffer.from('Password:')

function credentials(
  mechanism: string,
  authorizationIdentity: string,
  authenticationIdentity: string,
  password: string,
): ServerStep {
  // authcid = 1*SAFE, passwd = 1*SAFE; SAFE has no NUL (RFC 4616 §2). An empty one can never be right.
  if (
    authenticationIdentity === '' ||
    password === '' ||
    `${authenticationIdentity}${password}`.includes('\0')
  ) {
    throw new SmtpError(535, '5.7.8', 'Authentication credentials invalid')
  }
  return {
    type: 'credentials',
    credentials: { mechanism, authorizationIdentity, authenticationIdentity, password },
  }
}

function text(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets)
  } catch (cause) {
    throw new SmtpError(501, '5.5.2', 'Credentials are not UTF-8', { cause })
  }
}

/** What a client shows. */
export interface ClientCredentials {
  readonly username: string
  readonly password: string
  readonly authorizationIdentity?: string
}

export interface ClientMechanism {
  /** `null` where the server begins. */
  readonly initialResponse: Uint8Array | null
  /** `null`: cancel, the challenge makes no sense. */
  respond(challenge: Uint8Array): Uint8Array | null
}

export const CLIENT_MECHANISMS: ReadonlyMap<string, (credentials: ClientCredentials) => ClientMechanism> =
  new Map([
    ['PLAIN', plainClient],
    ['LOGIN', loginClient],
  ])

function plainClient({ username, password, authorizationIdentity = '' }: ClientCredentials): ClientMechanism {
  const message = Buffer.from(`${authorizationIdentity}\0${username}\0${password}`)
  return { initialResponse: message, respond: challenge => (challenge.length === 0 ? message : null) }
}

// The prompts are words for people: what counts is their order.
function loginClient({ username, password }: ClientCredentials): ClientMechanism {
  const answers = [Buffer.from(username), Buffer.from(password)]
  return { initialResponse: null, respond: () => answers.shift() ?? null }
}

// base64 = base64-terminal / ( 1*(4base64-char) [base64-terminal] ), RFC 4954 §8: nothing else, and it is not ignored.
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** `null` when it is not base64. */
export function decodeBase64(text: string): Uint8Array | null {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : null
}

export const encodeBase64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64')
