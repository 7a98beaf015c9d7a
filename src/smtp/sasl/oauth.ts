/**
 * OAUTHBEARER, RFC 7628, and XOAUTH2, which Google made before it: a bearer token (RFC 6750) and little else. A refusal
 * is told twice: as JSON, to which the client must say something, and then as the outcome of the exchange (§3.2.3).
 */

import type { Reply } from '../reply.ts'
import { parseGs2Header } from './gs2.ts'
import { EMPTY, type ServerContext, type ServerMechanism, type ServerStep } from './mechanism.ts'
import { malformed, textOf } from './text.ts'

// kvpair = key "=" value kvsep; key = 1*(ALPHA); value = *(VCHAR / SP / HTAB / CR / LF ); kvsep = %x01. RFC 7628 §3.1.
const PAIRS = /^(?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)*\x01$/
// RFC 6750 §2.1: "Bearer" 1*SP b64token; RFC 7628 §4: in any case.
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

export function oauthbearerServer({ scope }: ServerContext): ServerMechanism {
  // client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
  return bearerServer({
    mechanism: 'OAUTHBEARER',
    error: { status: 'invalid_token', schemes: 'bearer', scope },
    parse(message) {
      const { flag, authorizationIdentity, text } = parseGs2Header(message)
      if (flag === 'p' || message[text.length] !== KVSEP) throw malformed('OAUTHBEARER message')
      return { authorizationIdentity, pairs: parsePairs('OAUTHBEARER', message.slice(text.length + 1)) }
    },
  })
}

/** https://developers.google.com/workspace/gmail/imap/xoauth2-protocol: `user=` is a pair like the others. */
export function xoauth2Server({ scope }: ServerContext): ServerMechanism {
  return bearerServer({
    mechanism: 'XOAUTH2',
    error: { status: '401', schemes: 'bearer', scope },
    parse(message) {
      const at = message.indexOf(KVSEP)
      const [, user] = /^user=([^\0]+)$/.exec(message.slice(0, Math.max(at, 0))) ?? []
      if (user === undefined) throw malformed('XOAUTH2 message')
      return { authorizationIdentity: user, pairs: parsePairs('XOAUTH2', message.slice(at + 1)) }
    },
  })
}

const KVSEP = '\x01'

interface Dialect {
  readonly mechanism: string
  /** RFC 7628 §3.2.2. */
  readonly error: { readonly status: string; readonly schemes: string; readonly scope: string | undefined }
  /** @throws SmtpError */
  parse(message: string): {
    readonly authorizationIdentity: string
    readonly pairs: ReadonlyMap<string, string>
  }
}

function bearerServer({ mechanism, error, parse }: Dialect): ServerMechanism {
  const respond = (response: Uint8Array): ServerStep => {
    const { authorizationIdentity, pairs } = parse(textOf(response))
    const [, token = ''] = BEARER.exec(pairs.get('auth') ?? '') ?? []
    const host = pairs.get('host') ?? null
    return {
      type: 'credentials',
      credentials: { type: 'token', mechanism, authorizationIdentity, token, host },
    }
  }
  return {
    start: initial => (initial === null ? { type: 'challenge', challenge: EMPTY } : respond(initial)),
    respond,
    // A failure of ours (4yz) says nothing about the token.
    conclude: (verdict: Reply) => (verdict.code < 500 ? null : Buffer.from(JSON.stringify(error))),
  }
}

// "Unknown key/value pairs MUST be ignored by the server."
function parsePairs(mechanism: string, text: string): Map<string, string> {
  if (!PAIRS.test(text)) throw malformed(`${mechanism} message`)
  const pairs = text
    .slice(0, -1)
    .split(KVSEP)
    .map(pair => {
      const at = pair.indexOf('=')
      return [pair.slice(0, at), pair.slice(at + 1)] as const
    })
  return new Map(pairs)
}
