/**
 * The directory: who may submit, with which reverse-paths, and where our own mailboxes lead. Its authority is a Git
 * repository (design decision 7); what is here is one commit of it, complete and immutable.
 */

import type { Mailbox, ReversePath } from '../smtp/path.ts'
import type { ScramSha1Verifier, ScramVerifier, Verifier } from './password.ts'

export interface Directory {
  /** The commit this was read from: 40 (SHA-1) or 64 (SHA-256) hex digits. Every message it allows carries it. */
  readonly commit: string
  /** Lower-case domains that have a folder, or the deployment's domain in the original layout. */
  readonly domains: ReadonlySet<string>
  /** Every user has a SCRAM-SHA-256 verifier: offering SCRAM keeps nobody out. */
  readonly scram: boolean
  /** By domain, the messages of an hour that the signer signs at most; a domain that is not there has no budget. */
  readonly signingBudgets?: ReadonlyMap<string, number>
  /** By domain, what is said of its signatures: `never` that it has none, or a template for the selectors of its keys. */
  readonly signing?: ReadonlyMap<string, { readonly never: boolean; readonly selectorTemplate?: string }>
  /** By login name: `alice@example.com`, or `alice` where the deployment's own domain is meant. Case-insensitive. */
  user(name: string): User | undefined
  /** Where mail for one of our own mailboxes goes; `undefined` when it is not ours or has no targets. */
  targets(mailbox: Mailbox): readonly Mailbox[] | undefined
}

export interface User {
  /** `alice@example.com`, lower case: what AUTH= carries and logs show. */
  readonly name: string
  readonly localPart: string
  readonly domain: string
  readonly verifier: Verifier
  /** Where somebody wrote one: SCRAM-SHA-1 cannot use the other. */
  readonly sha1Verifier?: ScramSha1Verifier | undefined
  /** Beside the password, for one program each; under the same salt, so that all are checked as one. */
  readonly appPasswords?: readonly AppPassword[] | undefined
  /** Patterns for the reverse-path: `alice@example.com`, `*@news.example.com`. His own address is always among them, and his groups'. */
  readonly senders: readonly string[]
  readonly targets: readonly Mailbox[]
  readonly limits?: UserLimits | undefined
  /** What all users of his domain may do together. */
  readonly domainLimits?: DayLimits | undefined
  /** He may not send, and is told this. */
  readonly suspended?: string | undefined
}

export interface AppPassword {
  /** `phone`: the log says with which one somebody signed in. */
  readonly name: string
  readonly verifier: ScramVerifier
}

/** What may be done at most in a day, which is 24 hours of the clock (usage/window.ts). */
export interface DayLimits {
  readonly messagesPerDay?: number
  readonly recipientsPerDay?: number
  /** Recipients who were not written to before. */
  readonly newRecipientsPerDay?: number
}

/** What a user may do at most; what is not there, only the deployment bounds. */
export interface UserLimits extends DayLimits {
  readonly messageOctets?: number
  readonly recipientsPerMessage?: number
}

/** A decision with its reason, as data: the client is told `reason`, the log keeps it too. */
export type Decision = { readonly allowed: true } | { readonly allowed: false; readonly reason: string }

/** The null reverse-path is anybody's (RFC 6409 §3.2). */
export type MaySend = (user: User, reversePath: ReversePath) => Decision

/** Follows the repository. `current()` is always one whole commit: the last good one. */
export interface Follower {
  current(): Directory
  /** Fetch now (SIGHUP). Resolves when done, whatever came of it: failures are events, not errors. */
  refresh(): Promise<void>
  close(): Promise<void>
}
