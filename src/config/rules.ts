/**
 * Files of ordered rules beside ptt.toml: `[[shaping]]`, `[[reply]]`. Ours come with ptt and are read first; the
 * operator's follow, so that they have the last word. Problems are told as those of ptt.toml.
 */

import { join } from 'node:path'
import type { z } from 'zod'
import { byLine, ConfigError, type Problem, parseToml, readToml, rename } from './load.ts'
import { locate } from './locate.ts'
import { tomlKey } from './schema.ts'

export type Rule<T extends z.ZodObject> = z.infer<T> & {
  /** `shaping.toml:12`: for whoever asks why. */
  readonly where: string
}

/** What stands in `shipped/`, by name, where ptt is one script without files beside it (scripts/build-bundle.mjs). */
declare const PTT_SHIPPED: Readonly<Record<string, string>> | undefined

/** The rules of ours in `shipped/`. @throws ConfigError */
export function readShippedRules<T extends z.ZodObject>(name: string, table: string, schema: T): Rule<T>[] {
  const file = join(import.meta.dirname, 'shipped', name)
  const toml = typeof PTT_SHIPPED === 'undefined' ? undefined : PTT_SHIPPED[name]
  return parseRules(toml ?? readToml(file, 'it comes with ptt: install ptt again'), file, table, schema)
}

/** @throws ConfigError with every problem of the file */
export function readRules<T extends z.ZodObject>(path: string, table: string, schema: T): Rule<T>[] {
  return parseRules(readToml(path, 'correct the path in ptt.toml'), path, table, schema)
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
    line: locate(toml, [key]),
    key,
    message: `there is no such key: the file has [[${table}]] and nothing else`,
  }))
  if (!Array.isArray(written)) {
    const message = `write [[${table}]], for there may be several`
    throw new ConfigError([{ file, line: locate(toml, [table]), key: table, message }])
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
  if (problems.length > 0) throw new ConfigError(problems.toSorted(byLine))
  return rules
}

/** The lines where the rules begin. */
function headings(toml: string, table: string): number[] {
  return toml.split('\n').flatMap((line, at) => (line.trim().startsWith(`[[${table}]]`) ? at + 1 : []))
}
