/**
 * What `[directory] require` asks of a commit before a file of it is read.
 *
 * fast-forward  it descends from the last commit that was in force. A rewritten history is refused: nobody could find out
 *               any more who was allowed what when, and a revoked user would be back with an old commit.
 * signed        that, and somebody who may has signed it. His signature vouches for all that is in the commit, whoever
 *               made the commits before it: so it does of a merge.
 *
 * The first commit of all has nothing to descend from: the one that the repository has then is taken.
 */

import type { Clone } from './clone.ts'
import { type Signers, verifySignature } from './signature.ts'

export interface Requirement extends Signers {
  readonly require: 'fast-forward' | 'signed'
}

export interface Allowed {
  readonly kind: 'allowed'
  /** As git names him; `null` when nobody asked for one. */
  readonly signer: string | null
  /** The history is another, and the operator agreed to that. */
  readonly rewritten: boolean
}

/** It is not read. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly rule: Requirement['require']
  readonly reason: string
  readonly advice: string

  constructor(rule: Requirement['require'], reason: string, advice: string) {
    super(`${reason}; ${advice}`)
    this.rule = rule
    this.reason = reason
    this.advice = advice
  }
}

/** `good` is the last commit that was in force, `null` at the very first; `parents` as far as they are known. */
export async function judge(
  clone: Clone,
  commit: string,
  good: string | null,
  requirement: Requirement,
  parents: readonly string[] = [],
): Promise<Allowed | RefusedError> {
  let rewritten = false
  const forward =
    good === null ||
    commit === good ||
    parents.includes(good) ||
    (await clone.references.descends(commit, good))
  if (!forward) {
    rewritten = (await clone.references.resolve('accepted'))?.commit === commit
    if (!rewritten)
      return new RefusedError(
        'fast-forward',
        `the history was rewritten: it does not descend from ${good}, which was in force last`,
        `push what does, or agree to it with: ptt directory accept ${commit}`,
      )
  }
  if (requirement.require !== 'signed') return { kind: 'allowed', signer: null, rewritten }
  const signature = await verifySignature(clone, commit, requirement)
  if (signature.kind === 'good') return { kind: 'allowed', signer: signature.signer, rewritten }
  return new RefusedError(
    'signed',
    signature.reason,
    'push a commit on top of it that is signed by somebody in directory.allowed_signers or directory.keyring',
  )
}
