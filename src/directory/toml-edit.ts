/** Changes one key of a TOML file; comments and everything else stay as somebody wrote them. */

import { parse } from 'smol-toml'
import { HEADER, KEY, partsOf } from './lines.ts'

export type TomlValue = string | number | readonly string[] | { readonly [key: string]: string | number }

/** One key at the top, or one in a table there, however that is written. */
export type KeyPath = readonly [key: string] | readonly [table: string, key: string]

/**
 * Sets the key, or removes it where `value` is undefined. `null`: it cannot be done without touching something else, a
 * comment within a list for example; people can.
 */
export function setKey(text: string, path: KeyPath, value: TomlValue | undefined): string | null {
  const before = tryParse(text)
  if (before === null) return null
  const after = edited(text, path, value)
  if (after === null) return null
  return canonical(tryParse(after)) === canonical(withKey(before, path, value)) ? after : null
}

/** The keys at the top, or in a table there. */
export function keysIn(text: string, table?: string): string[] {
  const top = tryParse(text) ?? {}
  return Object.keys(table === undefined ? top : ((top[table] ?? {}) as Table))
}

/** A list of strings as it is written; empty where there is none. */
export function listIn(text: string, key: string): string[] {
  const list = tryParse(text)?.[key]
  return Array.isArray(list) ? list.map(String) : []
}

export function formatValue(value: TomlValue): string {
  if (Array.isArray(value)) {
    const line = `[${value.map(formatValue).join(', ')}]`
    return line.length <= MAX_LINE ? line : `[\n${value.map(each => `  ${formatValue(each)},\n`).join('')}]`
  }
  // TOML's basic strings and integers are written as JSON's, DEL excepted.
  if (typeof value !== 'object') return JSON.stringify(value).replaceAll('\x7f', '\\u007F')
  const pairs = Object.entries(value).map(([key, each]) => `${formatKey(key)} = ${formatValue(each)}`)
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

export function formatKey(key: string): string {
  return /^[\w-]+$/.test(key) ? key : formatValue(key)
}

const MAX_LINE = 90

type Table = Record<string, unknown>

interface Statement {
  readonly start: number
  /** Behind its last line. */
  readonly end: number
  readonly value: unknown
}

function edited(text: string, path: KeyPath, value: TomlValue | undefined): string | null {
  const lines = text.split('\n')
  const [first, second] = path
  if (second === undefined) return replaced(lines, 0, [first], value)
  const header = lines.findIndex(line => sameKey(HEADER.exec(line)?.[1], [first]))
  if (header >= 0) return replaced(lines, header + 1, [second], value)
  if (statement(lines, 0, [first, second]) !== null) return replaced(lines, 0, [first, second], value)
  // Within braces: the table is written anew.
  const inline = statement(lines, 0, [first])
  const table = withKey({ [first]: inline?.value ?? {} }, path, value)[first] as { [key: string]: string }
  return replaced(lines, 0, [first], Object.keys(table ?? {}).length > 0 ? table : undefined)
}

/** In the table whose keys begin at line `from`. */
function replaced(
  lines: readonly string[],
  from: number,
  key: readonly string[],
  value: TomlValue | undefined,
): string | null {
  const found = statement(lines, from, key)
  const written = value === undefined ? [] : [`${key.map(formatKey).join('.')} = ${formatValue(value)}`]
  if (found === null) {
    // After the last key of the table, before the empty lines and the next table.
    let at = endOfTable(lines, from)
    while (at > from && lines[at - 1]?.trim() === '') at--
    return lines.toSpliced(at, 0, ...written).join('\n')
  }
  const [line = '', ...more] = lines.slice(found.start, found.end)
  if (more.length > 0 && [line, ...more].some(each => /#/.test(each.replace(/"[^"]*"|'[^']*'/g, ''))))
    return null
  const comment = more.length > 0 ? '' : commentOf(line)
  const end = line.endsWith('\r') && comment === '' ? '\r' : ''
  const statements = written.map(each => `${each}${comment}${end}`)
  return lines.toSpliced(found.start, found.end - found.start, ...statements).join('\n')
}

function statement(lines: readonly string[], from: number, key: readonly string[]): Statement | null {
  const end = endOfTable(lines, from)
  for (let start = from; start < end; start++) {
    if (!sameKey(KEY.exec(lines[start] ?? '')?.[1], key)) continue
    // It ends where what was read so far is a whole statement.
    for (let last = start + 1; last <= end; last++) {
      const table = tryParse(`${lines.slice(start, last).join('\n')}\n`)
      if (table === null) continue
      const value = key.reduce<unknown>((inner, part) => (inner as Table)[part], table)
      return { start, end: last, value }
    }
  }
  return null
}

function endOfTable(lines: readonly string[], from: number): number {
  const next = lines.findIndex((line, index) => index >= from && HEADER.test(line))
  return next < 0 ? lines.length : next
}

function commentOf(line: string): string {
  for (let at = line.indexOf('#'); at >= 0; at = line.indexOf('#', at + 1))
    if (tryParse(line.slice(0, at)) !== null) return /\s*$/.exec(line.slice(0, at))?.[0] + line.slice(at)
  return ''
}

function sameKey(written: string | undefined, key: readonly string[]): boolean {
  return written !== undefined && partsOf(written).join('\0') === key.join('\0')
}

function withKey(table: Table, [first, second]: KeyPath, value: TomlValue | undefined): Table {
  const { [first]: old, ...others } = table
  const now = second === undefined ? value : withKey((old ?? {}) as Table, [second], value)
  return now === undefined ? others : { ...table, [first]: now }
}

/** The same for tables that say the same: an empty one says nothing. */
function canonical(value: unknown): string | undefined {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value)
    .map(([key, each]) => [key, canonical(each)] as const)
    .filter(([, text]) => text !== undefined)
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`)
  return pairs.length === 0 ? undefined : `{${pairs.toSorted().join()}}`
}

function tryParse(text: string): Table | null {
  try {
    return parse(text)
  } catch {
    return null
  }
}
