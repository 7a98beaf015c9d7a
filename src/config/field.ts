/** What a key of a table may hold, with errors that say what is wrong and what to write instead. */

import { resolve } from 'node:path'
import * as z from 'zod'
import { credentialName } from './file.ts'
import * as kind from './value.ts'

// A configuration is read once: making code of a schema takes longer than that reading.
z.config({ jitless: true })

/** What the defaults of a table are made of. */
export interface Base {
  readonly domain: string
  /** The folder of ptt.toml: relative paths start there. */
  readonly folder: string
}

export function text<T>({ noun, write, parse }: kind.Kind<T>) {
  return z.string({ error: issue => complaint(issue.input, noun, write) }).transform((written, context) => {
    const value = parse(written)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: complaint(written, noun, write) })
    return z.NEVER
  })
}

export function integer(lowest: number, highest: number) {
  const error = (issue: { input?: unknown }) =>
    complaint(issue.input, 'possible here', `write a whole number from ${lowest} to ${highest}`)
  return z
    .number({ error })
    .refine(number => Number.isInteger(number) && number >= lowest && number <= highest, { error })
}

export function oneOf<const T extends readonly (string | number)[]>(values: T) {
  const written = values.map(value => JSON.stringify(value)).join(' or ')
  return z.literal(values, { error: issue => complaint(issue.input, 'possible here', `write ${written}`) })
}

export function list<T extends z.ZodType>(element: T, noun: string, write: string) {
  return z.array(element, { error: issue => complaint(issue.input, noun, write) })
}

function complaint(written: unknown, noun: string, write: string): string {
  return written === undefined
    ? `is missing: ${write}`
    : `${JSON.stringify(written)} is not ${noun}: ${write}`
}

/** A path, absolute in what comes out, or `credential:NAME` as it is. */
export function pathFrom(folder: string) {
  return text({ ...kind.path, parse: written => kind.path.parse(written) && fileFrom(folder, written) })
}

/** `written` as what is in config/file.ts can read it; relative paths start at `folder`. */
export function fileFrom(folder: string, written: string): string {
  return credentialName(written) === undefined ? resolve(folder, written) : written
}

export function resolverList() {
  return z.preprocess(
    written => (typeof written === 'string' ? [written] : written),
    list(text(kind.endpoint(53, 1)), 'a list of addresses', 'write for example ["127.0.0.1:53"]'),
  )
}

/** In whole seconds. */
export function seconds(lowest: number, highest: number, noun: string): kind.Kind<number> {
  return {
    noun,
    write: kind.duration.write,
    parse(written) {
      const ms = kind.duration.parse(written)
      const seconds = ms === undefined ? undefined : Math.round(ms / 1000)
      return seconds !== undefined && seconds >= lowest && seconds <= highest ? seconds : undefined
    },
  }
}

/** How many processes a service has for what it does most. @param what that is */
export function workers(what: string) {
  return z
    .union([integer(1, 64), z.literal('auto')], {
      error: issue => complaint(issue.input, 'possible here', 'write a whole number from 1 to 64, or "auto"'),
    })
    .prefault(1)
    .describe(
      `So many processes ${what}, each on one core; "auto": one for each core. 1: the service is one process. docs/workers.md.`,
    )
}
