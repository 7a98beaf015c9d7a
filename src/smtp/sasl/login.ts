/** LOGIN, draft-murchison-sasl-login-00: obsolete, and what many programs still speak. */

import { SmtpError } from '../error.ts'
import type { ClientCredentials, ClientMechanism, ServerMechanism, ServerStep } from './mechanism.ts'
import { textOf } from './text.ts'

const USERNAME_PROMPT = Buffer.from('Username:')
const PASSWORD_PROMPT = Buffer.from('Password:')

/** An initial response is the name. */
export function loginServer(): ServerMechanism {
  let name: string | null = null
  const respond = (response: Uint8Array): ServerStep => {
    if (name !== null) return passwordCredentials('LOGIN', '', name, textOf(response))
    name = textOf(response)
    return { type: 'challenge', challenge: PASSWORD_PROMPT }
  }
  return {
    start: initial =>
      initial === null ? { type: 'challenge', challenge: USERNAME_PROMPT } : respond(initial),
    respond,
  }
}

// The prompts are words for people: what counts is their order.
export function loginClient({ username, password }: ClientCredentials): ClientMechanism {
  const answers = [Buffer.from(username), Buffer.from(password)]
  return { initialResponse: null, respond: () => answers.shift() ?? null, satisfied: true }
}

/** @throws SmtpError 535 5.7.8 */
export function passwordCredentials(
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
    credentials: { type: 'password', mechanism, authorizationIdentity, authenticationIdentity, password },
  }
}
