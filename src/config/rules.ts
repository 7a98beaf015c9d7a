/**
 * Files of ordered rules beside ptt.toml: `[[shaping]]`, `[[reply]]`. Ours come with ptt and are read first; the
 * operator's follow, so that they have the last word. Problems are told as those of ptt.toml.
 */

import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { ConfigError, type Problem, parseToml, rename } from './load.ts'
import { tomlKey } from './schema.ts'

export type Rule<T extends z.ZodObject> = z.infer<T> & {
  /** `shaping.toml:12`: for whoever asks why. */
  readonly where: string
}

/** @throws ConfigError with every problem of the file */
export function readRules<T extends z.ZodObject>(path: string, table: string, schema: T): Rule<T>[] {
  let toml: string
  try {
    toml = readFileSync(path, 'utf8')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const message = missing ? 'there is no such file' : (error as Error).message
    throw new ConfigError([{ file: path, line: 1, key: '', message }], error)
  }
  return parseRules(toml, path, table, schema)
}

/** @throws ConfigError with every problem of the text; `file` is where it would be */
export function parseRules<T extends z.ZodObject>(
  toml: string,
  file: string,
  table: string,
  schema: T,
): Rule<T>[] {
  const { [table]: written = [], ...others } = parseToml(toml, file)
  const lines = headings(toml, table)
  const problems: Problem[] = Object.keys(others).map(key => ({
    file,
    line: 1,
    key,
    message: `there is no such key: the file has [[${table}]] and nothing else`,
  }))
  if (!Array.isArray(written)) {
    const message = `write [[${table}]], for there may be several`
    throw new ConfigError([{ file, line: lines[0] ?? 1, key: table, message }])
  }
  const rules = written.flatMap((rule: Record<string, unknown>, at): Rule<T>[] => {
    const line = lines[at] ?? 1
    const report = (keys: readonly string[], message: string) => {
      problems.push({ file, line, key: keys.join('.'), message })
    }
    const { success, data, error } = schema.safeParse(rename(rule, schema, [table], report))
    for (const { path, message } of error?.issues ?? [])
      report([table, ...path.flatMap(part => (typeof part === 'string' ? tomlKey(part) : []))], message)
    return success ? [{ ...data, where: `${file.replace(/.*\//, '')}:${line}` }] : []
  })
  if (problems.length > 0) throw new ConfigError(problems.toSorted((one, other) => one.line - other.line))
  return rules
}

/** The lines where the rules begin. */
function headings(toml: string, table: string): number[] {
  return toml.split('\n').flatMap((line, at) => (line.trim().startsWith(`[[${table}]]`) ? at + 1 : []))
}
