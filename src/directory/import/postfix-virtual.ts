/** Aliases of Postfix, virtual(5): `address target, target`, and `domain anything` for the domains there are. */

import type { Mailbox } from '../../smtp/path.ts'
import { domainOf, mailboxOf } from '../layout.ts'
import { foldMailbox } from '../may-send.ts'
import { addressOf } from '../names.ts'
import type { Problem } from '../problem.ts'
import { type Imported, refuseProblems } from './imported.ts'

/** What stands behind the name of a domain: postconf(5) has "anything", and people write other words. */
const ANYTHING = /^(anything|virtual|domain|dummy|placeholder|ok|x|-|1)$/i

/** `ourDomain` is what Postfix has as myorigin: of addresses without a domain. */
export function readPostfixVirtual(file: string, text: string, ourDomain: string): Imported {
  const problems: Problem[] = []
  const domains = new Set<string>()
  const aliases = new Map<string, { mailbox: Mailbox; targets: readonly string[]; line: number }>()
  for (const { line, pattern, result } of entriesOf(text)) {
    const refuse = (rule: string) => problems.push({ file, line, rule })
    const domain = pattern.includes('.') ? domainOf(pattern) : null
    if (domain !== null && !pattern.includes('@')) {
      if (ANYTHING.test(result)) domains.add(domain)
      else refuse(`"${pattern}": a domain, or a local-part? Write ${pattern}@${ourDomain} for an address`)
      continue
    }
    if (pattern.startsWith('@')) {
      refuse(`${pattern}: an address for everything in a domain is not supported: name the addresses`)
      continue
    }
    const written = mailboxOf(pattern, ourDomain)
    if (written === null) {
      refuse(`${JSON.stringify(pattern)} is not an address`)
      continue
    }
    const mailbox = foldMailbox(written)
    const name = addressOf(mailbox)
    const targets = targetsOf(result, ourDomain, refuse)
    const other = aliases.get(name)
    if (other) refuse(`${name} is already in line ${other.line}`)
    else if (targets.includes(name)) refuse(`${name} leads to itself: leave it out`)
    else aliases.set(name, { mailbox, targets, line })
    domains.add(mailbox.domain)
  }
  refuseProblems(problems)
  return { users: [], aliases: [...aliases.values()], domains: [...domains] }
}

interface Entry {
  readonly line: number
  readonly pattern: string
  readonly result: string
}

/** A quote that is not closed stands for itself. No text fits in two ways: with each quote they would double. */
const ENTRY = /^((?:"[^"]*"|[^\s"]|"(?![^"]*"))+)\s*(.*)$/s

/** A line that begins with white space goes on with the one before; # is a comment at the beginning of a line. */
function entriesOf(text: string): Entry[] {
  const logical: { line: number; text: string }[] = []
  for (const [index, each] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(each)) continue
    const last = logical.at(-1)
    if (/^\s/.test(each) && last) last.text += ` ${each.trim()}`
    else logical.push({ line: index + 1, text: each.trim() })
  }
  return logical.map(({ line, text }) => {
    const [, pattern = '', result = ''] = ENTRY.exec(text) ?? []
    return { line, pattern, result }
  })
}

function targetsOf(result: string, ourDomain: string, refuse: (rule: string) => void): string[] {
  const targets: string[] = []
  for (const [written] of result.matchAll(/(?:"[^"]*"|[^\s,])+/g)) {
    const mailbox = /^[@|/:]/.test(written) ? null : mailboxOf(written, ourDomain)
    if (mailbox === null)
      refuse(`${JSON.stringify(written)} is not a mailbox: programs, files and lists are not supported`)
    else targets.push(addressOf(foldMailbox(mailbox)))
  }
  if (targets.length === 0) refuse('it leads nowhere')
  return targets
}
