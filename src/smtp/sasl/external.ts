/** EXTERNAL, RFC 4422 Appendix A: who the client is, the channel below has shown. */

import { EMPTY, type ServerMechanism, type ServerStep } from './mechanism.ts'
import { malformed, textOf } from './text.ts'

export function externalServer(): ServerMechanism {
  const respond = (response: Uint8Array): ServerStep => {
    // authz-id-string = *( UTF8-char-no-nul )
    const authorizationIdentity = textOf(response)
    if (authorizationIdentity.includes('\0')) throw malformed('EXTERNAL message')
    return {
      type: 'credentials',
      credentials: { type: 'external', mechanism: 'EXTERNAL', authorizationIdentity },
    }
  }
  return {
    start: initial => (initial === null ? { type: 'challenge', challenge: EMPTY } : respond(initial)),
    respond,
  }
}
