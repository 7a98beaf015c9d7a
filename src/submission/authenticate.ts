/** AUTH, RFC 4954: who the client is, by the directory that is in force now. */

import type { Directory, User } from '../directory/directory.ts'
import { verifyPassword } from '../directory/password.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import type { PlainCredentials } from '../smtp/sasl.ts'

export type Authentication =
  | { readonly user: User; readonly reply: Reply }
  | { readonly user: null; readonly reply: Reply; readonly reason: string }

const ACCEPTED = reply(235, '2.7.0', 'Authentication successful')
/** The same words whatever was wrong: a stranger must not learn which names exist. */
const REFUSED = reply(535, '5.7.8', 'User name or password is wrong')

export async function authenticate(
  directory: Directory,
  credentials: PlainCredentials,
): Promise<Authentication> {
  const user = directory.user(credentials.authenticationIdentity)
  // An unknown user costs as much time as a known one.
  const right = await verifyPassword(user?.verifier ?? null, credentials.password)
  if (user === undefined) return { user: null, reply: REFUSED, reason: 'no such user' }
  if (!right) return { user: null, reply: REFUSED, reason: 'wrong password' }
  // RFC 4616 §2: an authorization identity is the wish to act for somebody else. Nobody may.
  const wanted = credentials.authorizationIdentity
  if (wanted !== '' && directory.user(wanted)?.name !== user.name) {
    return { user: null, reply: REFUSED, reason: `may not act for ${wanted}` }
  }
  return { user, reply: ACCEPTED }
}
