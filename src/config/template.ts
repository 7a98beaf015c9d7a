/**
 * A ptt.toml to begin with, made from the schema: every key is in it with what it means and its default, so that the
 * file is never behind the code. A `#` right before a key means that the default is in force.
 */

import * as z from 'zod'
import { tableOf } from './load.ts'
import { configSchema, tomlKey } from './schema.ts'

type Value = string | number | readonly string[]

/** By table (`submission.oauth` is one), then by key, as in the file; the table '' is the top. */
export type Settings = Readonly<Record<string, Readonly<Record<string, Value>>>>

const HEAD = `# ptt.toml: the configuration of submission, signer and relay.
#
# A key with # before it has the value that is shown, or none where its comment says so. Relative paths start at the folder of this file.
# \`ptt config check\` tells what is wrong.
`

/** @throws Error when `settings` has a key that there is not. */
export function formatTemplate(domain: string, settings: Settings = {}): string {
  const given = new Map(
    Object.entries({ ...settings, '': { ...settings[''], domain } }).map(([table, values]) => [
      table,
      new Map(Object.entries(values)),
    ]),
  )
  const text = [HEAD, ...formatTable('', configSchema(domain, '.'), given)]
  if (given.size > 0) throw new Error(`ptt.toml has no table ${[...given.keys()].join(', ')}`)
  return text.join('\n')
}

/** Its keys, then the tables in it; `given` loses what is used. */
function formatTable(
  name: string,
  table: z.ZodObject<Record<string, z.ZodType>>,
  given: Map<string, ReadonlyMap<string, Value>>,
): string[] {
  const fields = Object.entries(table.shape)
  const keys = fields.filter(([, field]) => tableOf(field) === undefined)
  const text = formatFields(keys, given.get(name))
  given.delete(name)
  for (const [key, field] of fields) {
    const inner = tableOf(field)
    if (inner === undefined) continue
    const innerName = name === '' ? tomlKey(key) : `${name}.${tomlKey(key)}`
    // A table that may be left out is, unless something is said about it.
    const off = field instanceof z.ZodExactOptional && !given.has(innerName) ? '# ' : ''
    text.push(`\n# ${describe(field)}\n${off}[${innerName}]\n`, ...formatTable(innerName, inner, given))
  }
  return text
}

function formatFields(
  fields: readonly (readonly [key: string, field: z.ZodType])[],
  given: ReadonlyMap<string, Value> = new Map(),
): string[] {
  const known = new Set(fields.map(([key]) => tomlKey(key)))
  const unknown = [...given.keys()].filter(key => !known.has(key))
  if (unknown.length > 0) throw new Error(`ptt.toml has no key ${unknown.join(', ')} there`)
  return fields.map(([key, field]) => {
    const name = tomlKey(key)
    const value = given.get(name)
    const line = `${name} = ${formatValue(value ?? usual(field))}`
    return `# ${describe(field)}\n${value === undefined ? '# ' : ''}${line}\n`
  })
}

function describe(field: z.ZodType): string {
  return field.meta()?.description ?? ''
}

/** The default, or an example where there is none. */
function usual(field: z.ZodType): Value {
  const example = field.meta()?.examples
  return (
    field instanceof z.ZodPrefault ? field.def.defaultValue : Array.isArray(example) && example[0]
  ) as Value
}

/** TOML's basic strings, integers and arrays of them are written as JSON's (DEL excepted). */
function formatValue(value: Value): string {
  if (typeof value === 'object') return `[${value.map(formatValue).join(', ')}]`
  return JSON.stringify(value).replaceAll('\x7f', '\\u007F')
}
