/**
 * The signer's own opinion of who may send what, from its own clone of the directory: whoever breaks into submission
 * cannot make the signer sign in the name of another.
 *
 * It is the same decision as submission's, made again of what cannot be left out: AUTH= and From. A commit that submission
 * has and the signer has not is fetched; when that fails the answer is temporary. What was last good stays in force while
 * the repository cannot be reached, so that no message is lost by this.
 *
 * Memory: the names of the last commits. How much is signed is in `signing-budget.ts`.
 */

import type { Directory } from '../directory/directory.ts'
import { foldMailbox, maySend } from '../directory/may-send.ts'
import type { Role } from '../net/tls.ts'
import { formatMailbox, type Mailbox, parseMailbox, type ReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'

/** What a neighbour says of a message that it wants signed. */
export interface Claim {
  readonly role: Role
  /** AUTH= (RFC 4954 §5). */
  readonly identity: string | null | undefined
  /** The commit that allowed it, by its word. */
  readonly commit: string | undefined
  readonly reversePath: ReversePath
  /** Who From says has written it. */
  readonly authors: readonly Mailbox[]
}

export interface SecondOpinionOptions {
  /** The commit in force. */
  readonly directory: () => Directory
  /** Fetches; resolves whatever came of it. */
  readonly refresh: () => Promise<void>
  readonly postmaster: string
  readonly now: () => number
}

/** Commits that were in force lately. */
const COMMITS = 100
/** Messages make us fetch this often at most: the repository is not to suffer from what submission makes up. */
const FETCH_PAUSE_MS = 1000

export class SecondOpinion {
  readonly #options: SecondOpinionOptions
  readonly #postmaster: string
  readonly #commits = new Set<string>()
  #begunMs = Number.NEGATIVE_INFINITY
  /** Not begun yet. */
  #fetching: Promise<void> | null = null

  constructor(options: SecondOpinionOptions) {
    this.#options = options
    this.#postmaster = addressOf(parseMailbox(options.postmaster, { utf8: true }))
  }

  /** `null`: it may be signed. */
  async judge(claim: Claim): Promise<Reply | null> {
    if (claim.role === 'relay') return this.#judgeNotice(claim)
    if (this.#objection(claim) === null) return null
    if (this.#isBehind(claim)) await this.#fetch()
    const reason = this.#objection(claim)
    if (reason === null) return null
    if (!this.#isBehind(claim)) return reply(550, '5.7.1', reason)
    const commit = claim.commit?.slice(0, 12)
    return reply(451, '4.7.1', `${reason}; the signer does not know commit ${commit}, try again later`)
  }

  /** Nobody has signed in for what the relay says itself: it has one author. */
  #judgeNotice({ authors }: Claim): Reply | null {
    if (authors.every(author => addressOf(author) === this.#postmaster)) return null
    return reply(550, '5.7.1', `The relay may send as ${this.#options.postmaster} only`)
  }

  #objection({ identity, authors, reversePath }: Claim): string | null {
    const user = identity == null ? undefined : this.#directory().user(identity)
    if (user === undefined) return `${identity ?? 'Nobody'} may not send`
    if (user.suspended !== undefined) return `${user.name} is suspended`
    for (const mailbox of [reversePath, ...authors]) {
      const decision = maySend(user, mailbox)
      if (!decision.allowed) return decision.reason
    }
    return null
  }

  /** Submission has decided by a commit that was never in force here. */
  #isBehind({ commit }: Claim): boolean {
    this.#directory()
    return commit !== undefined && !this.#commits.has(commit)
  }

  #directory(): Directory {
    const directory = this.#options.directory()
    if (this.#commits.has(directory.commit)) return directory
    this.#commits.add(directory.commit)
    for (const oldest of this.#commits) {
      if (this.#commits.size <= COMMITS) break
      this.#commits.delete(oldest)
    }
    return directory
  }

  /** A fetch that begins after this; one for all who wait for it. */
  #fetch(): Promise<void> {
    const { now, refresh } = this.#options
    this.#fetching ??= pause(this.#begunMs + FETCH_PAUSE_MS - now()).then(() => {
      this.#fetching = null
      this.#begunMs = now()
      return refresh()
    })
    return this.#fetching
  }
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise(resolve => setTimeout(resolve, ms)) : Promise.resolve()
}

function addressOf(mailbox: Mailbox): string {
  return formatMailbox(foldMailbox(mailbox))
}
