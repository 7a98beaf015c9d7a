/** Fuzzes one target for a while in a thread of its own, so that an input that hangs can be told and ended. */

import { parentPort, workerData } from 'node:worker_threads'
import { Campaign, kindOf, minimize } from './campaign.ts'
import { TARGETS } from './targets/all.ts'

export interface Order {
  readonly target: string
  readonly seed: number
  readonly forMs: number
  /** Octets 0–3: how many inputs were begun; 4–7: the length of the input under way, which follows. */
  readonly shared: SharedArrayBuffer
}

export type Report =
  | { readonly kind: 'finding'; readonly what: string; readonly error: string; readonly input: Uint8Array }
  | { readonly kind: 'done'; readonly inputs: number; readonly answers: number; readonly ms: number }

/** Findings of one target that are told apart; more are told by the same run when these are mended. */
const MAX_FINDINGS = 20

const { target: name, seed, forMs, shared } = workerData as Order
const target = TARGETS.get(name)
if (target === undefined) throw new RangeError(`no target ${name}`)
const counters = new Int32Array(shared, 0, 2)
const current = new Uint8Array(shared, 8)

const campaign = new Campaign(target, seed, input => {
  current.set(input)
  Atomics.store(counters, 1, input.length)
  Atomics.add(counters, 0, 1)
})
const tell = (report: Report) => parentPort?.postMessage(report)
const seen = new Set<string>()
const begin = performance.now()
while (seen.size < MAX_FINDINGS && performance.now() - begin < forMs) {
  const finding = campaign.step()
  if (finding === null) continue
  const what = kindOf(finding.error)
  if (seen.has(what)) continue
  seen.add(what)
  const error = finding.error instanceof Error ? (finding.error.stack ?? what) : what
  tell({ kind: 'finding', what, error, input: minimize(target, finding) })
}
tell({ kind: 'done', inputs: campaign.inputs, answers: campaign.answers, ms: performance.now() - begin })
