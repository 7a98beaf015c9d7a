/** What `ptt directory` says, as text for people. */

import type { CommitInfo } from '../directory/commit-info.ts'
import type { Difference } from '../directory/compare.ts'
import type { Explanation } from '../directory/explain.ts'
import type { Plan } from '../directory/plan.ts'
import { formatProblem } from '../directory/problem.ts'
import type { Counts, Head, InForce, Status } from '../directory/status.ts'
import { shortCommit } from './repository.ts'

export function formatStatus({ repository, branch, inForce, head }: Status): string {
  return [
    ...Object.entries(inForce).flatMap(([service, found]) => row(service, inForceLines(found))),
    ...row('Repository', [`${repository} (${branch})`]),
    ...row('Its head', headLines(head)),
  ].join('')
}

function inForceLines(inForce: InForce): string[] {
  if (inForce.kind === 'nothing') return [`nothing: ${inForce.reason}`]
  const { sinceSeconds, lagSeconds } = inForce
  const lag = lagSeconds === null ? '' : `, ${lagSeconds} s after it was committed`
  const since = sinceSeconds === null ? '' : `since ${time(sinceSeconds)}${lag}`
  return [commitLine(inForce), since, counts(inForce)].filter(line => line !== '')
}

function headLines(head: Head): string[] {
  switch (head.kind) {
    case 'in force':
      return ['is in force']
    case 'waiting':
      return [commitLine(head), counts(head), 'has nothing wrong: in force when the service next looks']
    case 'refused':
      return [commitLine(head), `REFUSED (require = "${head.rule}"): ${head.reason}`, head.advice]
    case 'broken':
      return [
        commitLine(head),
        `REFUSED, ${head.problems.length} ${head.problems.length === 1 ? 'problem' : 'problems'}:`,
        ...head.problems.map(formatProblem),
      ]
    case 'unreachable':
      return [`UNREACHABLE: ${head.reason}`, ...(head.advice === '' ? [] : [head.advice])]
    default:
      return head satisfies never
  }
}

export function formatExplanation(
  { allowed, user, rule, commit, where, senders }: Explanation,
  as: string,
): string {
  const lines = [`${user} ${allowed ? 'may' : 'may NOT'} send as ${as}`, ...row('Rule', [rule])]
  if (where !== null) {
    lines.push(...row('File', [`${where.file}:${where.line}: ${where.text}`]))
    lines.push(...row('Written by', [commitLine(where.made)]))
  }
  lines.push(...row('In force', [shortCommit(commit)]))
  if (senders.length > 0) lines.push(...row('May send as', [senders.join(' ')]))
  return `${lines[0]}\n${lines.slice(1).join('')}`
}

export function formatPlan({ problems, baseProblems, differences }: Plan, branch: string): string {
  if (problems.length > 0)
    return `${branch} cannot be in force:\n${problems.map(problem => `  ${formatProblem(problem)}\n`).join('')}`
  if (baseProblems.length > 0)
    return `${branch} has nothing wrong; what is there now has, so that they cannot be compared:\n${baseProblems
      .map(problem => `  ${formatProblem(problem)}\n`)
      .join('')}`
  if (differences.length === 0) return `${branch} changes nothing.\n`
  return differences.map(difference => `${formatDifference(difference)}\n`).join('')
}

export function formatDifference({ who, what, before, after }: Difference): string {
  const sign = before === null ? '+' : after === null ? '-' : '~'
  const gain = after !== null
  switch (what) {
    case 'domain':
    case 'user':
    case 'group':
    case 'alias':
      return `${sign} ${who}: ${gain ? `a new ${what}` : `no ${what} any more`}`
    case 'sender':
      return `${sign} ${who} ${gain ? 'may send' : 'may no longer send'} as ${after ?? before}`
    case 'target':
      return `${sign} ${who} ${gain ? 'leads' : 'no longer leads'} to ${after ?? before}`
    case 'suspended':
      return gain ? `~ ${who} is suspended: ${after}` : `~ ${who} is not suspended any more`
    case 'app password':
      if (before !== null && gain) return `~ ${who} has another app password ${after}`
      return `${sign} ${who} has ${gain ? 'an app password' : 'no longer the app password'} ${after ?? before}`
    case 'password':
      return `~ ${who} has another password${before === after ? '' : `: ${after}`}`
    default:
      return `~ ${who}: ${what} ${before ?? 'no limit'} → ${after ?? 'no limit'}`
  }
}

function commitLine({ commit, subject, author, committedSeconds }: CommitInfo): string {
  return `${shortCommit(commit)} "${subject}" by ${author}, ${time(committedSeconds)}`
}

function counts({ users, suspended, groups, aliases, domains }: Counts): string {
  const some = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`
  return [
    `${some(users, 'user', 'users')}${suspended > 0 ? ` (${suspended} suspended)` : ''}`,
    some(groups, 'group', 'groups'),
    some(aliases, 'alias', 'aliases'),
    some(domains, 'domain', 'domains'),
  ].join(', ')
}

function row(label: string, [first = '', ...more]: readonly string[]): string[] {
  return [`${label.padEnd(13)}${first}\n`, ...more.map(line => `${' '.repeat(13)}${line}\n`)]
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
}
