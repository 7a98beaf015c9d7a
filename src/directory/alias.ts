/** Where mail for our own mailboxes goes: targets of users and aliases, followed to their end. */

import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { foldMailbox } from './may-send.ts'
import type { Problem } from './problem.ts'

/** Of one address: a user without targets has none of them, and his mail goes where the MX of his domain leads. */
export interface Target {
  readonly to: readonly Mailbox[]
  /** The same, as they are compared. */
  readonly addresses: readonly string[]
  readonly file: string
  readonly line: number
}

/** By folded address. */
export type Targets = Map<string, Target>

export function targetAt(to: readonly Mailbox[], file: string, line: number): Target {
  return { to, addresses: to.map(addressOf), file, line }
}

/** Deeper than anybody means; what is below it can be walked by plain recursion. */
const MAX_DEPTH = 50

/** The mailboxes at the end of the way from `name`, each once; `undefined` when no way starts there. */
export function targetsOf(targets: Targets, name: string): readonly Mailbox[] | undefined {
  const first = targets.get(name)?.to ?? []
  const ends = new Map<string, Mailbox>()
  const walked = new Set([name])
  const waiting = first.toReversed()
  for (let mailbox = waiting.pop(); mailbox; mailbox = waiting.pop()) {
    const address = addressOf(mailbox)
    const next = targets.get(address)?.to ?? []
    if (next.length === 0) ends.set(address, ends.get(address) ?? mailbox)
    else if (!walked.has(address)) waiting.push(...next.toReversed())
    walked.add(address)
  }
  return first.length > 0 ? [...ends.values()] : undefined
}

/** Targets that lead back to themselves, or never seem to end. */
export function unendingTargets(targets: Targets): Problem[] {
  const problems: Problem[] = []
  const done = new Set<string>()
  const walk = (name: string, trail: readonly string[]) => {
    const target = targets.get(name)
    if (!target || done.has(name)) return
    const at = trail.indexOf(name)
    if (at >= 0 || trail.length >= MAX_DEPTH) {
      const way =
        at < 0 ? `more than ${MAX_DEPTH} steps from ${trail[0]}` : [...trail.slice(at), name].join(' → ')
      problems.push({ file: target.file, line: target.line, rule: `targets never end: ${way}` })
      return
    }
    for (const address of target.addresses) walk(address, [...trail, name])
    done.add(name)
  }
  for (const [name, { addresses }] of targets)
    if (addresses.some(address => targets.has(address))) walk(name, [])
  return problems
}

function addressOf(mailbox: Mailbox): string {
  return formatMailbox(foldMailbox(mailbox))
}
