/**
 * Users from a table, RFC 4180, with a head: `user` (or `email`), `password`, and, as one likes, `senders`, `targets`,
 * `suspended`, and the limits by their keys. A password in clear becomes a verifier; it is written nowhere.
 */

import { mailboxOf, pathOfUser } from '../layout.ts'
import { foldMailbox } from '../may-send.ts'
import { addressOf } from '../names.ts'
import { makeVerifier, parseVerifier, type Verifier, VerifierError } from '../password.ts'
import type { Problem } from '../problem.ts'
import type { TomlValue } from '../toml-edit.ts'
import { userFile } from '../users.ts'
import { type Imported, refuseProblems } from './imported.ts'

const COUNTS = [
  'recipients_per_message',
  'messages_per_day',
  'recipients_per_day',
  'new_recipients_per_day',
] as const
const COLUMNS = ['user', 'password', 'senders', 'targets', 'suspended', 'message_size', ...COUNTS]
/** So many verifiers are made at once: there are four threads for it. */
const AT_ONCE = 8

export async function readCsv(file: string, text: string, ourDomain: string): Promise<Imported> {
  const problems: Problem[] = []
  const [head, ...records] = readRecords(text.replace(/^\ufeff/, ''))
  const columns =
    head?.fields.map(name =>
      name
        .trim()
        .toLowerCase()
        .replace(/^(e-?mail|address|name)$/, 'user'),
    ) ?? []
  const unknown = columns.filter(name => !COLUMNS.includes(name))
  if (unknown.length > 0)
    problems.push({
      file,
      line: 1,
      rule: `there is no column ${unknown.join(', ')}: write ${COLUMNS.join(', ')}`,
    })
  for (const needed of ['user', 'password'])
    if (!columns.includes(needed)) problems.push({ file, line: 1, rule: `the column ${needed} is missing` })
  refuseProblems(problems)
  const users: Imported['users'][number][] = []
  for (let at = 0; at < records.length; at += AT_ONCE) {
    const some = records.slice(at, at + AT_ONCE)
    const read = await Promise.all(
      some.map(({ line, fields }) => {
        const refuse = (rule: string) => void problems.push({ file, line, rule })
        if (fields.length !== columns.length)
          return refuse(`${fields.length} fields, and the head has ${columns.length}`)
        const row = new Map(columns.map((column, index) => [column, fields[index]?.trim() ?? '']))
        return readUser(row, ourDomain, refuse)
      }),
    )
    users.push(...read.filter(user => user !== undefined))
  }
  const firsts = new Map(users.toReversed().map(user => [user.path, user]))
  const twice = users.filter(user => firsts.get(user.path) !== user)
  for (const { mailbox } of twice)
    problems.push({ file, line: 1, rule: `${addressOf(mailbox)} is there twice` })
  refuseProblems(problems)
  return { users, aliases: [], domains: [...new Set(users.map(({ mailbox }) => mailbox.domain))] }
}

async function readUser(
  row: ReadonlyMap<string, string>,
  ourDomain: string,
  refuse: (rule: string) => void,
): Promise<Imported['users'][number] | undefined> {
  const value = (column: string) => row.get(column) ?? ''
  const written = mailboxOf(value('user'), ourDomain)
  const mailbox = written && foldMailbox(written)
  const path = mailbox && pathOfUser(mailbox)
  if (mailbox === null || path === null) {
    refuse(`${JSON.stringify(value('user'))} is not a user's address`)
    return undefined
  }
  const verifier = await verifierOf(row.get('password') ?? '', refuse)
  if (verifier === null) return undefined
  const list = (column: string) =>
    value(column)
      .split(/[\s,;]+/)
      .filter(each => each !== '')
  const keys: Record<string, TomlValue> = {}
  for (const column of ['senders', 'targets']) if (list(column).length > 0) keys[column] = list(column)
  if (value('suspended') !== '') keys.suspended = value('suspended')
  const limits: Record<string, string | number> = {}
  if (value('message_size') !== '') limits.message_size = value('message_size')
  for (const column of COUNTS) if (value(column) !== '') limits[column] = Number(value(column)) || 0
  if (Object.keys(limits).length > 0) keys.limits = limits
  return { mailbox, path, text: userFile(addressOf(mailbox), verifier, keys) }
}

/** What looks like a hash of another kind is no password that anybody knows. */
async function verifierOf(written: string, refuse: (rule: string) => void): Promise<Verifier | null> {
  try {
    if (!/^(\$|\{\w+\}|SCRAM-)|^[0-9a-f]{32,}$/i.test(written)) return await makeVerifier(written)
    const verifier = parseVerifier(written)
    if (verifier.scheme === 'SCRAM-SHA-256') return verifier
    refuse('password: weak hash: BLAKE2B-512 without salt; see --from original')
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error
    refuse(`password: ${error.message}`)
  }
  return null
}

export interface Row {
  /** Where it begins, 1 for the first. */
  readonly line: number
  readonly fields: readonly string[]
}

/** RFC 4180 §2; `;` in place of `,` where the head has it, as some spreadsheets write. */
export function readRecords(text: string): Row[] {
  const [first = ''] = text.split(/\r?\n/, 1)
  const separator = first.includes(';') && !first.includes(',') ? ';' : ','
  const field = new RegExp(`(?:"((?:[^"]|"")*)"|([^"\\r\\n${separator}]*))(${separator}|\\r?\\n|$)`, 'y')
  const records: Row[] = []
  let fields: string[] = []
  let line = 1
  let startLine = 1
  while (field.lastIndex < text.length || fields.length > 0) {
    const at = field.lastIndex
    const match = field.exec(text)
    if (match === null) {
      const rest = text.slice(at).split('\n', 1)[0] ?? ''
      records.push({ line, fields: [] })
      field.lastIndex = at + rest.length + 1
      fields = []
      line++
      startLine = line
      continue
    }
    const [whole, quoted, bare = '', end] = match
    fields.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'))
    line += whole.split('\n').length - 1
    if (end === separator) continue
    if (fields.some(each => each !== '')) records.push({ line: startLine, fields })
    fields = []
    startLine = line
  }
  return records
}
