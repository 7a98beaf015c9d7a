/** One wish for one name, held against what is there: the verdict, and the change that would make it right. */

import { txtStrings } from '../dns/rdata.ts'
import { type Change, type Finding, type Rr, show, txtRr, type Verdict, type WrittenType } from './finding.ts'
import { ownershipText } from './ownership.ts'
import type { Seen, Unseen } from './view.ts'

export interface Wish {
  readonly domain: string
  readonly subject: string
  readonly name: string
  readonly type: WrittenType
  /** The one record of its kind that should be there; `null`: none. */
  readonly wanted: Rr | null
  readonly ttlSeconds: number
  /** Of the same kind: a name can have other TXT records, which are nobody's business here. */
  readonly isOfKind: (rr: Rr) => boolean
  /** What is wrong with a record that somebody else wrote, or a remark about it where it does as well as ours. */
  readonly assess: (rr: Rr) => Promise<Assessment>
  /** What it costs to have none, or several. */
  readonly ifMissing: string
  readonly ifSeveral: string
}

export type Assessment =
  | { readonly good: true; readonly remark: string }
  | { readonly good: false; readonly reason: string }

/** `null`: nothing is wanted, and nothing of ours is there. */
export async function judge(wish: Wish, seen: Seen | Unseen): Promise<Finding | null> {
  const finding = await judgeSeen(wish, seen)
  if (finding === null || seen.kind === 'unseen' || seen.obstacle === null) return finding
  return { ...finding, obstacle: seen.obstacle }
}

async function judgeSeen(wish: Wish, seen: Seen | Unseen): Promise<Finding | null> {
  if (seen.kind === 'unseen')
    return wish.wanted === null ? null : finding(wish, 'cannot know', seen.reason, [])
  const { wanted } = wish
  const found = seen.records.filter(wish.isOfKind)
  const owns = (rr: Rr): boolean => seen.ownership.owns(wish.name, rr)
  const replace = (): Change | null => makeChange(wish, seen, found, wanted === null ? [] : [wanted])
  if (wanted === null) {
    const ours = found.filter(owns)
    if (ours.length === 0) return null
    const change = makeChange(wish, seen, ours, [])
    return finding(
      wish,
      'differs',
      'ptt wrote it, and the configuration does not want it any more',
      found,
      change,
    )
  }
  if (seen.alias !== null) return judgeAlias(wish, seen, seen.alias, wanted)
  const [only, ...others] = found
  if (only === undefined)
    return finding(wish, 'missing', wish.ifMissing, [], makeChange(wish, seen, [], [wanted]))
  if (others.length > 0) {
    const reason = `${found.length} records: ${wish.ifSeveral}`
    if (found.every(owns)) return finding(wish, 'differs', reason, found, replace())
    return finding(wish, 'foreign', reason, found, null, replace())
  }
  if (only.text === wanted.text) return agreed(wish, seen, found, '')
  if (owns(only)) return finding(wish, 'differs', `ptt wrote ${show(only)} earlier`, found, replace())
  const assessment = await wish.assess(only)
  if (assessment.good) return agreed(wish, seen, found, assessment.remark)
  return finding(wish, 'foreign', `${show(only)}, not by ptt: ${assessment.reason}`, found, null, replace())
}

/** Whoever asks follows it, and nothing can stand beside it (RFC 1034 §3.6.2): it is good, or its owner's to change. */
async function judgeAlias(
  wish: Wish,
  seen: Seen,
  { target, records }: NonNullable<Seen['alias']>,
  wanted: Rr,
): Promise<Finding> {
  const found = records.filter(wish.isOfKind)
  const [only, ...others] = found
  const alias = `an alias (CNAME) of ${target}`
  if (only === undefined)
    return finding(wish, 'foreign', `${wish.name} is ${alias}: ${wish.ifMissing}`, found)
  if (others.length > 0)
    return finding(wish, 'foreign', `${alias}, ${found.length} records: ${wish.ifSeveral}`, found)
  const assessment: Assessment =
    only.text === wanted.text ? { good: true, remark: '' } : await wish.assess(only)
  if (assessment.good) return agreed(wish, seen, found, alias)
  return finding(wish, 'foreign', `${show(only)}, ${alias}: ${assessment.reason}`, found)
}

/** The primary is right; the others may not be, or not yet. */
function agreed(wish: Wish, seen: Seen, found: readonly Rr[], remark: string): Finding {
  const what = `${found.map(show).join(', ')}${remark === '' ? '' : `, ${remark}`}`
  const where = rightAt(seen)
  if (seen.lagging.length > 0)
    return finding(wish, 'differs', `${where}, not everywhere: ${seen.lagging.join('; ')}`, found)
  if (seen.silent.length > 0)
    return finding(wish, 'cannot know', `${where}, but ${seen.silent.join('; ')}`, found)
  return finding(wish, 'ok', what, found)
}

function finding(
  { domain, subject, name, type, wanted }: Wish,
  verdict: Verdict,
  reason: string,
  found: readonly Rr[],
  change: Change | null = null,
  replacement: Change | null = null,
): Finding {
  return {
    ...{ domain, subject, name, type, verdict, reason, change, replacement },
    found: found.map(show),
    wanted: wanted === null ? null : show(wanted),
  }
}

function makeChange(wish: Wish, seen: Seen, old: readonly Rr[], wanted: readonly Rr[]): Change | null {
  const { name, type } = wish
  const { primary } = seen
  if (primary === null) return null
  const isWanted = (rr: Rr): boolean => wanted.some(({ text }) => text === rr.text)
  const remove = old.filter(rr => !isWanted(rr))
  const add = wanted.filter(rr => !seen.records.some(({ text }) => text === rr.text))
  // What stays is only in the list if it was: a record of somebody else does not become ours.
  const kept = seen.records.filter(rr => !remove.includes(rr) && seen.ownership.owns(name, rr))
  return {
    ...{ zone: seen.zone, primary, name, type, seen: seen.records, remove, add },
    ttlSeconds: seen.ttlSeconds ?? wish.ttlSeconds,
    disown: seen.ownership.stale(name, type, [...kept, ...add]),
    own: add.map(rr => ownershipText(name, rr)),
  }
}

export function rightAt({ primary }: Pick<Seen, 'primary'>): string {
  return `right at ${primary === null ? 'one server' : 'the primary'}`
}

/** A TXT record to be written. */
export function text(value: string): Rr {
  return txtRr(value, txtStrings(value))
}
