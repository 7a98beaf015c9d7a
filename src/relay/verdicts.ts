/** What the hosts of a destination said so far of each recipient of a job, and what that comes to. Pure. */

import type { Evidence, Job } from '../queue/queue.ts'
import type { PeerPromises } from './notice.ts'
import { evidence, settleNext, type Verdict, type Where } from './outcome.ts'

export interface Judgement {
  readonly index: number
  readonly action: 'delivered' | 'failed' | 'deferred' | 'expanded'
  readonly evidence: Evidence
  /** Of a delivery: what the peer does with the message. */
  readonly peer?: PeerPromises
  /** Of a deferral: not to be tried again before. */
  readonly waitMs?: number
  /** Nothing was ever attempted: `evidence` is only of a time that passed. */
  readonly attempted?: false
}

const UNTRIED: Verdict = {
  action: 'deferred',
  status: '4.4.1',
  diagnostic: 'No host of the destination could be tried',
}

/** What the hosts said so far of each recipient of a job, and who said it. */
export class Verdicts {
  readonly #indices: readonly number[]
  readonly #verdicts = new Map<number, { readonly verdict: Verdict; readonly where: Where }>()
  /** What the last host that could not be spoken to said, or said not; and whether any could be. */
  #silence: string | null = null
  #reached = false

  constructor({ recipients }: Job) {
    this.#indices = recipients
  }

  /** Why no host of the site could be spoken to; null when one could, or none was tried. */
  get unreachable(): string | null {
    return this.#reached ? null : this.#silence
  }

  reached(): void {
    this.#reached = true
  }

  unanswered(diagnostic: string): void {
    this.#silence = diagnostic
  }

  /** Those for whom another host may be asked. */
  get left(): readonly number[] {
    return this.#indices.filter(index => (this.#verdicts.get(index)?.verdict.action ?? 'next') === 'next')
  }

  /** The same verdict for everybody who has no final one yet. */
  conclude(verdict: Verdict, where: Where = {}): void {
    for (const index of this.#indices) this.note(index, verdict, where)
  }

  /** One host's "cannot" does not outweigh another's "not now": as long as one may yet take it, the recipient waits. */
  note(index: number, verdict: Verdict, where: Where): void {
    const earlier = this.#verdicts.get(index)?.verdict
    if (earlier !== undefined && earlier.action !== 'next') return
    const waits = earlier !== undefined && settleNext(earlier).action === 'deferred'
    if (waits && verdict.action === 'next' && settleNext(verdict).action === 'failed') return
    this.#verdicts.set(index, { verdict, where })
  }

  judge(index: number, nowMs: number): Judgement {
    const { verdict, where } = this.#verdicts.get(index) ?? { verdict: UNTRIED, where: {} }
    const settled = settleNext(verdict)
    const action = settled.action === 'next' ? 'deferred' : settled.action
    const { peer, waitMs } = settled
    return {
      index,
      action,
      evidence: evidence(settled, nowMs, where),
      ...(peer === undefined ? {} : { peer }),
      ...(waitMs === undefined ? {} : { waitMs }),
    }
  }
}
