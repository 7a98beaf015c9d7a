/** What is said about a file that cannot be in force: file, line and rule. No rule repeats a value that may be secret. */

import type { z } from 'zod'
import { type Lines, lineAt, linesOfKeys } from './lines.ts'

export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** What is wrong and what to write instead. */
  readonly rule: string
}

/** A commit, or a change to be made one, that cannot be in force. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

export function formatProblem({ file, line, rule }: Problem): string {
  return `${file}:${line}: ${rule}`
}

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value; readonly lines: Lines }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** What was written, `value`, against what may be. */
export function check<Value>(
  file: string,
  text: string,
  value: unknown,
  schema: z.ZodType<Value>,
): Parsed<Value> {
  const lines = linesOfKeys(text)
  const { success, data, error } = schema.safeParse(value)
  if (success) return { ok: true, value: data, lines }
  const problems = error.issues.flatMap(found => {
    const keys = found.code === 'unrecognized_keys' ? found.keys : [null]
    return keys.map(unknown => {
      const path = unknown === null ? found.path : [...found.path, unknown]
      return { file, line: lineAt(text, lines, path), rule: ruleOf(path, found, value) }
    })
  })
  return { ok: false, problems }
}

function ruleOf(path: readonly PropertyKey[], found: z.core.$ZodIssue, value: unknown): string {
  const names = path.filter(part => typeof part === 'string')
  const key = names.join('.')
  if (found.code === 'unrecognized_keys') {
    return `there is no key ${JSON.stringify(key)} here`
  }
  if (found.code !== 'invalid_type') return key === '' ? found.message : `${key}: ${found.message}`
  if (key === '') return `this is not a table of keys and values`
  const written = names.reduce<unknown>((table, name) => (table as Record<string, unknown>)[name], value)
  if (written === undefined) return `${key}: it is missing`
  if (found.path.length > names.length) return `${key}: write each in quotes`
  if (found.expected === 'object' || found.expected === 'record')
    return `${key}: write a table, { key = value, … }`
  if (found.expected !== 'array') return `${key}: write a ${found.expected}`
  if (typeof written !== 'object') return `${key}: write a list, ["…", "…"]`
  return `${key}: write a list, ["…", "…"]; a name with a dot is written in quotes, "first.last" = […]`
}
