/** AUTH, RFC 4954: who the client is, by the directory that is in force now. */

import type { Directory, User } from '../directory/directory.ts'
import { MAX_APP_PASSWORDS } from '../directory/fields.ts'
import { mailboxCalled } from '../directory/layout.ts'
import { matchPassword, prepareName } from '../directory/password.ts'
import type { Decoys } from '../directory/scram.ts'
import type { Client } from '../net/listener.ts'
import { formatMailbox } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import type { Credentials, ScramHash, ScramKeys, ScramVerifier } from '../smtp/sasl.ts'
import { usableMechanisms } from './mechanisms.ts'
import type { TokenVerifier } from './oauth.ts'

export type Authentication =
  /** `appPassword`: which one it was, where it was not the user's own. */
  | { readonly user: User; readonly reply: Reply; readonly appPassword?: string | undefined }
  /** `guessed`: the credentials are of nobody. Not so for who may not sign in with what is right. */
  | { readonly user: null; readonly reply: Reply; readonly reason: string; readonly guessed?: true }

const ACCEPTED = reply(235, '2.7.0', 'Authentication successful')
/** The same words whatever was wrong: a stranger must not learn which names exist. */
const REFUSED = reply(535, '5.7.8', 'User name or password is wrong')
const TEMPORARY = reply(454, '4.7.0', 'Temporary authentication failure, try again later')

type ClientFacts = Pick<Client, 'tls' | 'localAddress'>

/** Who the credentials are of, before it is asked whom he may act for. */
type Identity =
  | { readonly user: User; readonly appPassword?: string | undefined }
  | { readonly user: null; readonly reason: string; readonly temporary?: true }

export interface AuthenticatorOptions {
  /** Our name, as clients know it. */
  readonly hostname: string
  /** The deployment's own, of login names without one. */
  readonly domain: string
  /** The commit in force. */
  readonly directory: () => Directory
  readonly mechanisms: readonly string[]
  readonly decoys: Decoys
  /** `null`: no issuer is configured. */
  readonly tokens: TokenVerifier | null
}

export class Authenticator {
  readonly #options: AuthenticatorOptions

  constructor(options: AuthenticatorOptions) {
    this.#options = options
  }

  /** What this client is offered. */
  mechanisms(client: Pick<Client, 'tls' | 'bindable'>): readonly string[] {
    const { mechanisms, tokens, directory } = this.#options
    return usableMechanisms(mechanisms, client, { tokens: tokens !== null, scram: directory().scram })
  }

  /** For the challenge of SCRAM: who is unknown, or has no verifier for it, is shown a decoy. */
  verifier(mechanism: string, username: string): ScramVerifier {
    const hash: ScramHash = mechanism.startsWith('SCRAM-SHA-256') ? 'SHA-256' : 'SHA-1'
    // Made for everybody: time does not tell either.
    const decoy = this.#options.decoys.verifier(hash, this.#canonical(username))
    return { ...(this.#kept(hash, username) ?? decoy), others: this.#others(hash, username) }
  }

  /** The name whose password is guessed at, one for all its forms; `null` where there is none to guess. */
  nameOf(credentials: Credentials): string | null {
    const { type } = credentials
    return type === 'password' || type === 'scram'
      ? this.#canonical(credentials.authenticationIdentity)
      : null
  }

  async authenticate(credentials: Credentials, client: ClientFacts): Promise<Authentication> {
    const identity = await this.#identify(credentials, client)
    if (identity.user === null) {
      const { reason, temporary } = identity
      if (temporary) return { user: null, reply: TEMPORARY, reason }
      return { user: null, reply: REFUSED, reason, guessed: true }
    }
    const { user } = identity
    // RFC 4422 §3.4.1: an authorization identity is the wish to act for somebody else. Nobody may.
    const wanted = credentials.authorizationIdentity
    if (wanted !== '' && this.#named(wanted)?.name !== user.name) {
      return { user: null, reply: REFUSED, reason: `${user.name} may not act for ${wanted}` }
    }
    // RFC 5248 §3: only who has shown that it is he is told that, and why.
    if (user.suspended !== undefined) {
      return { user: null, reply: reply(535, '5.7.13', user.suspended), reason: `${user.name} is suspended` }
    }
    return { user, reply: ACCEPTED, appPassword: identity.appPassword }
  }

  async #identify(credentials: Credentials, client: ClientFacts): Promise<Identity> {
    switch (credentials.type) {
      case 'password': {
        const user = this.#named(credentials.authenticationIdentity)
        // An unknown user costs as much time as a known one.
        const others = user?.appPasswords?.map(({ verifier }) => verifier) ?? []
        const keys = await matchPassword(user?.verifier ?? null, others, credentials.password)
        return known(user, keys === null ? 'wrong password' : null, keys)
      }
      case 'scram':
        return known(this.#named(credentials.authenticationIdentity), credentials.failure, credentials.keys)
      case 'token':
        return this.#ofToken(credentials.token, credentials.host, client)
      case 'external':
        return this.#ofCertificate(credentials.authorizationIdentity, client)
      default:
        return credentials satisfies never
    }
  }

  async #ofToken(token: string, host: string | null, client: ClientFacts): Promise<Identity> {
    // RFC 7628 §3.2: the host the client says it has connected to "MUST be validated". Its port is not: behind a
    // translation of addresses it is not ours.
    const ours = [this.#options.hostname, client.tls?.servername, client.localAddress]
    if (host !== null && !ours.some(name => name?.toLowerCase() === host.toLowerCase())) {
      return { user: null, reason: `the token was meant for the server ${host}` }
    }
    const verdict = await this.#options.tokens?.check(token)
    if (verdict === undefined) return { user: null, reason: 'there is no issuer of tokens' }
    if (verdict.kind === 'unknown') return { user: null, reason: verdict.reason, temporary: true }
    if (verdict.kind === 'invalid') return { user: null, reason: verdict.reason }
    const user = this.#named(verdict.username)
    return user === undefined ? { user: null, reason: `no such user: ${verdict.username}` } : { user }
  }

  // RFC 4422 Appendix A: an empty identity is whoever the server takes the certificate for.
  #ofCertificate(wanted: string, { tls }: ClientFacts): Identity {
    const mailboxes = tls?.authorized === true ? tls.peerMailboxes : []
    const users = new Map(
      mailboxes.flatMap(mailbox => {
        const user = this.#named(mailbox)
        return user === undefined ? [] : [[user.name, user] as const]
      }),
    )
    const [first, ...others] = users.values()
    const user = wanted === '' && others.length === 0 ? first : users.get(this.#named(wanted)?.name ?? '')
    if (user !== undefined) return { user }
    return { user: null, reason: `the certificate is for ${mailboxes.join(', ') || 'nobody'}` }
  }

  // RFC 4954 §4, RFC 5802 §5.1: names are compared SASLprep'd; one that cannot be prepared is nobody's.
  #named(name: string): User | undefined {
    const prepared = prepareName(name)
    const directory = this.#options.directory()
    return prepared === null ? undefined : (directory.user(name) ?? directory.user(prepared))
  }

  #kept(hash: ScramHash, username: string): ScramVerifier | undefined {
    const user = this.#named(username)
    if (hash === 'SHA-1') return user?.sha1Verifier
    return user?.verifier.scheme === 'SCRAM-SHA-256' ? user.verifier : undefined
  }

  /** App passwords; with decoys, for everybody as many: how long comparing takes tells nobody who has some. */
  #others(hash: ScramHash, username: string): ScramKeys[] {
    const kept = hash === 'SHA-256' ? (this.#named(username)?.appPasswords ?? []) : []
    const decoy = this.#options.decoys.verifier(hash, 'app password')
    const missing = Math.max(0, MAX_APP_PASSWORDS - kept.length)
    return [...kept.map(({ verifier }) => verifier), ...Array<ScramKeys>(missing).fill(decoy)]
  }

  /** As the directory finds users: a decoy must not tell `bob` from `BOB@example.com` where a user does not. */
  #canonical(username: string): string {
    const name = prepareName(username) ?? username
    const mailbox = mailboxCalled(name, this.#options.domain)
    return mailbox === null ? name.toLowerCase() : formatMailbox(mailbox)
  }
}

/** `keys`: from 1 on, which of the app passwords. */
function known(user: User | undefined, failure: string | null, keys: number | null = 0): Identity {
  if (user === undefined) return { user: null, reason: 'no such user' }
  if (failure !== null) return { user: null, reason: failure }
  return { user, appPassword: user.appPasswords?.[(keys ?? 0) - 1]?.name }
}
