/** PLAIN, RFC 4616. */

import { passwordCredentials } from './login.ts'
import {
  type ClientCredentials,
  type ClientMechanism,
  EMPTY,
  type ServerMechanism,
  type ServerStep,
} from './mechanism.ts'
import { malformed, textOf } from './text.ts'

// message = [authzid] UTF8NUL authcid UTF8NUL passwd, RFC 4616 §2.
export function plainServer(): ServerMechanism {
  const respond = (response: Uint8Array): ServerStep => {
    const [authorizationIdentity = '', authenticationIdentity, password, ...more] =
      textOf(response).split('\0')
    if (authenticationIdentity === undefined || password === undefined || more.length > 0) {
      throw malformed('PLAIN message')
    }
    return passwordCredentials('PLAIN', authorizationIdentity, authenticationIdentity, password)
  }
  return {
    start: initial => (initial === null ? { type: 'challenge', challenge: EMPTY } : respond(initial)),
    respond,
  }
}

export function plainClient(credentials: ClientCredentials): ClientMechanism {
  const { username, password, authorizationIdentity = '' } = credentials
  const message = Buffer.from(`${authorizationIdentity}\0${username}\0${password}`)
  return {
    initialResponse: message,
    respond: challenge => (challenge.length === 0 ? message : null),
    satisfied: true,
  }
}
