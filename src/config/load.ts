/** Reads ptt.toml. All that is wrong with it is said at once: where, what, and what to write instead. */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import * as z from 'zod'
import { locate } from './locate.ts'
import { type Config, configSchema, tomlKey } from './schema.ts'
import { domainName } from './value.ts'

export interface Problem {
  readonly file: string
  /** `null`: what is wrong is nowhere in it, or is the whole of it. */
  readonly line: number | null
  /** As it is written in the file: `submission.hop_wait`; empty for an error of syntax. */
  readonly key: string
  /** What is wrong, and what to write instead. */
  readonly message: string
}

export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], cause?: unknown) {
    super(problems.map(formatProblem).join('\n'), { cause })
    this.problems = problems
  }
}

/** `ptt.toml:12: submission.hop_wait: "soon" is not a duration: write …` */
export function formatProblem({ file, line, key, message }: Problem): string {
  return [nearPath(file) + (line === null ? '' : `:${line}`), ...(key === '' ? [] : [key]), message].join(
    ': ',
  )
}

/** In the order of the file, what has no line first. */
export function byLine(one: Problem, other: Problem): number {
  return (one.line ?? 0) - (other.line ?? 0)
}

/** A path as it is short to read: relative when it is below the working directory. */
export function nearPath(path: string): string {
  const near = relative('', path)
  return near === '' || near.startsWith('..') ? path : near
}

/** @throws ConfigError with every problem of the file. */
export function loadConfig(path: string): Config {
  const file = resolve(path)
  return parseConfig(readToml(file, 'make one with `ptt init`'), file)
}

/** @throws ConfigError when it cannot be read; `remedy` is for one that is not there */
export function readToml(file: string, remedy: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError([{ file, line: null, key: '', message: unreadable(file, remedy, error) }], error)
  }
}

function unreadable(file: string, remedy: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return `there is no such file: ${remedy}`
    case 'EISDIR': {
      const inside = join(file, 'ptt.toml')
      const example = existsSync(inside) ? `, ${nearPath(inside)}` : ''
      return `is a folder: write the path of the file in it${example}`
    }
    case 'EACCES':
      return 'may not be read by this user'
    default:
      return message
  }
}

/** @throws ConfigError with every problem of the text; `file` is where it would be. */
export function parseConfig(toml: string, file: string): Config {
  const written = parseToml(toml, file)
  const domain = typeof written.domain === 'string' ? domainName.parse(written.domain) : undefined
  // Without a domain the defaults are of no use, but the other problems can still be told.
  const schema = configSchema(domain ?? 'example.com', dirname(file))
  const problems: Problem[] = []
  const report = (keys: readonly string[], message: string) => {
    problems.push({ file, line: locate(toml, keys), key: keys.join('.'), message })
  }
  const { success, data, error } = schema.safeParse(rename(written, schema, [], report))
  for (const issue of error?.issues ?? []) {
    const keys = issue.path.map(part => (typeof part === 'string' ? tomlKey(part) : String(part)))
    // A value inside a list is reported for the list's key: that is what has a line.
    report(
      keys.filter((_, at) => typeof issue.path[at] !== 'number'),
      issue.message,
    )
  }
  if (!success || problems.length > 0) {
    throw new ConfigError(problems.toSorted(byLine))
  }
  return { file, ...data }
}

export function parseToml(toml: string, file: string): Record<string, unknown> {
  try {
    return parse(toml)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [summary = ''] = error.message.split('\n')
    const message = `column ${error.column}: ${summary.replace(/^Invalid TOML document: /, '')}`
    throw new ConfigError([{ file, line: error.line, key: '', message }], error)
  }
}

/** From the file's keys to the schema's; a key the schema does not have is reported and left out. */
export function rename(
  written: Record<string, unknown>,
  schema: z.ZodType,
  path: readonly string[],
  report: (keys: readonly string[], message: string) => void,
): Record<string, unknown> {
  const fields = new Map(
    Object.entries(tableOf(schema)?.shape ?? {}).map(([key, field]) => [tomlKey(key), { key, field }]),
  )
  const renamed: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(written)) {
    const known = fields.get(name)
    if (!known) {
      report([...path, name], `there is no such key: ${instead(name, path, [...fields.keys()])}`)
    } else if (tableOf(known.field) === undefined) {
      renamed[known.key] = value
    } else if (isTable(value)) {
      renamed[known.key] = rename(value, known.field, [...path, name], report)
    } else {
      report([...path, name], `${JSON.stringify(value)} is not a table: write [${name}] and its keys below`)
    }
  }
  return renamed
}

/** The object in what is a table with a default, a check or a transformation around it. */
export function tableOf(schema: unknown): z.ZodObject<Record<string, z.ZodType>> | undefined {
  if (schema instanceof z.ZodObject) return schema as z.ZodObject<Record<string, z.ZodType>>
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodExactOptional) return tableOf(schema.unwrap())
  if (schema instanceof z.ZodPipe) return tableOf(schema.in)
  return undefined
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

function instead(name: string, path: readonly string[], known: readonly string[]): string {
  // A name that is much longer than all of ours is near none, and would take its time.
  const [closest] = known
    .filter(key => Math.abs(name.length - key.length) <= key.length)
    .map(key => ({ key, distance: editDistance(name.toLowerCase().replaceAll('-', '_'), key) }))
    .filter(({ key, distance }) => distance <= Math.max(1, Math.floor(key.length / 3)))
    .toSorted((one, other) => one.distance - other.distance)
  if (closest) return `did you mean "${closest.key}"?`
  return `${path.length === 0 ? 'the file' : `[${path.join('.')}]`} has ${known.join(', ')}`
}

/** Levenshtein's distance, with the exchange of two neighbours as one step. */
export function editDistance(one: string, other: string): number {
  let before: number[] = []
  let above = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1]
      const steps = [
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      ]
      const swapped =
        row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      if (swapped) steps.push((before[column - 2] ?? 0) + 1)
      current.push(Math.min(...steps))
    }
    before = above
    above = current
  }
  return above[other.length] ?? 0
}
