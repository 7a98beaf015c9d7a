/** Findings for people: a verdict a line with its reason, in 80 to 110 columns; and what a change would do. */

import { formatEndpoint } from '../net/endpoint.ts'
import type { Applied } from './apply.ts'
import { type Change, type Finding, type Rr, show, type Verdict } from './finding.ts'
import { ownershipName } from './ownership.ts'

const VERDICTS: readonly Verdict[] = ['ok', 'missing', 'differs', 'foreign', 'cannot know']
const VERDICT_WIDTH = 'cannot know'.length

export interface Line {
  readonly finding: Finding
  /** Of `apply`; `null`: nothing was done. */
  readonly applied: Applied | null
}

export interface Layout {
  /** Of the terminal. */
  readonly columns: number
  /** Say what should be there too where `apply` would see to it: for who writes it by hand. */
  readonly withWanted: boolean
}

export function formatFindings(lines: readonly Line[], { columns, withWanted }: Layout): string {
  const subjectWidth = Math.max(0, ...lines.map(({ finding }) => finding.subject.length))
  const indent = 2 + VERDICT_WIDTH + 2 + subjectWidth + 2
  const text: string[] = []
  let domain: string | undefined
  for (const { finding, applied } of lines) {
    if (finding.domain !== domain) {
      domain = finding.domain
      text.push(`${text.length === 0 ? '' : '\n'}${domain}\n`)
    }
    const head = `  ${word(finding, applied).padEnd(VERDICT_WIDTH)}  ${finding.subject.padEnd(subjectWidth)}  `
    const reason = [reasonOf(finding, applied)]
    if (applied === null && (withWanted || finding.change === null)) reason.push(...wantedLine(finding))
    text.push(head, reason.map(part => wrap(part, indent, columns)).join(`\n${' '.repeat(indent)}`), '\n')
  }
  return text.join('')
}

function word(finding: Finding, applied: Applied | null): string {
  if (applied === null) return finding.verdict
  return applied.kind === 'written' ? 'written' : 'failed'
}

function reasonOf(finding: Finding, applied: Applied | null): string {
  if (applied?.kind === 'written')
    return `${finding.name} ${finding.type} ${finding.wanted ?? 'is removed'} (was: ${was(finding)})`
  if (applied?.kind === 'failed') return applied.reason
  if (applied?.kind === 'raced') return `somebody else changes ${finding.name} at the same time: look again`
  return finding.reason
}

function was(finding: Finding): string {
  return finding.found.length === 0 ? 'nothing' : finding.found.join(', ')
}

/** What is not written by an update says in its reason what should be. */
function wantedLine({ verdict, subject, name, type, wanted, change, replacement }: Finding): string[] {
  if (verdict === 'ok' || verdict === 'cannot know' || subject.startsWith('DKIM')) return []
  if (wanted === null || (type !== 'TXT' && type !== 'SRV')) return []
  const how = replacement === null ? '' : `, or: ptt dns apply --replace ${name}`
  return [`should be ${name} ${type} ${wanted}${change === null ? how : ''}`]
}

/** Words at most so wide; what is wider itself stays whole, so that it can be copied. */
function wrap(text: string, indent: number, columns: number): string {
  const lines: string[] = ['']
  for (const piece of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    const fits = indent + line.length + 1 + piece.length <= columns
    if (line === '') lines[lines.length - 1] = piece
    else if (fits) lines[lines.length - 1] = `${line} ${piece}`
    else lines.push(piece)
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}

/** `12 ok, 2 missing, 1 foreign` */
export function formatTally(findings: readonly Finding[]): string {
  return VERDICTS.flatMap(verdict => {
    const count = findings.filter(finding => finding.verdict === verdict).length
    return count === 0 ? [] : [`${count} ${verdict}`]
  }).join(', ')
}

/** Why what is not right cannot be written, each reason once. */
export function formatObstacles(findings: readonly Finding[]): string {
  const reasons = findings.flatMap(({ verdict, obstacle }) => (verdict === 'ok' ? [] : (obstacle ?? [])))
  return [...new Set(reasons)].map(reason => `ptt dns apply cannot write: ${reason}\n`).join('')
}

/** What an update would do, a record a line, as a master file has it. */
export function formatChanges(changes: readonly Change[]): string {
  const servers = Map.groupBy(changes, ({ zone, primary }) => `zone ${zone} at ${formatEndpoint(primary)}`)
  return [...servers]
    .map(([server, of]) => {
      const list = of[0] === undefined ? '' : ownershipName(of[0].zone)
      const entries = of.reduce((count, { own, disown }) => count + own.length + disown.length, 0)
      const lines = of.flatMap(({ name, type, remove, add, ttlSeconds }) => {
        const at = (sign: string, rr: Rr): string => `  ${sign} ${name} ${ttlSeconds} ${type} ${show(rr)}\n`
        return [...remove.map(rr => at('-', rr)), ...add.map(rr => at('+', rr))]
      })
      return `${server}\n${lines.join('')}  and ${entries} in the list of what is ours, ${list}\n`
    })
    .join('')
}
