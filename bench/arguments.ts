/** What `npm run bench` is asked for. */

import { parseArgs } from 'node:util'
import { CONTENDERS, ROWS } from './plan.ts'

export interface Arguments {
  /** Two minutes instead of fifteen: fewer rows, shorter runs. */
  readonly quick: boolean
  /** Nothing but JSON on standard output. */
  readonly json: boolean
  /** Names of contenders, and of rows; empty: all. */
  readonly only: readonly string[]
  readonly rows: readonly string[]
  /** How long messages are sent in a run; null: what the row says. */
  readonly seconds: number | null
  /** Runs of each contender in a row; null: what the row says. */
  readonly rounds: number | null
  /** Where V8's CPU profiles of ptt's services go; null: none are made. */
  readonly profile: string | null
  /** What ptt.toml says beside what the bench needs: table → key → value. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, string | number>>>>
  /** Where the spools lie: on a disk, or syncing costs nothing. */
  readonly folder: string | null
  /** Where the results are written as JSON; null: nowhere. */
  readonly output: string | null
}

/** What is measured beside the rows. */
const HANDSHAKES = { name: 'handshakes' }

export const HELP = `npm run bench -- [options]

  --quick             two minutes: fewer rows, shorter runs
  --only NAMES        of ${CONTENDERS.map(({ name }) => name).join(', ')}
                      (the beginning of a name is enough), with commas
  --rows NAMES        of ${[...ROWS, HANDSHAKES].map(({ name }) => name).join(', ')}
  --seconds N         how long messages are sent in a run
  --rounds N          runs of each contender in a row
  --json              nothing but the results of the first row as JSON on standard output
  --output FILE.json  all results, and beside it the charts, FILE-….svg
  --profile DIR       CPU profiles of ptt's services, one .cpuprofile each, for the tools of a browser
  --set KEYS          keys of ptt.toml, with commas: signer.workers=2,relay.concurrency=50
  --folder DIR        where spools are made: on a disk that the machine would have its mail on
`

/** @throws Error that says what is wrong and what there is */
export function readArguments(words: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...words],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      rows: { type: 'string', default: '' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      profile: { type: 'string' },
      set: { type: 'string', default: '' },
      folder: { type: 'string' },
      output: { type: 'string' },
    },
  })
  const { quick, json } = values
  return {
    quick,
    json,
    only: chosen('--only', values.only, CONTENDERS),
    rows: chosen('--rows', values.rows, [...ROWS, HANDSHAKES]),
    seconds: positive('--seconds', values.seconds),
    rounds: positive('--rounds', values.rounds),
    profile: values.profile ?? null,
    settings: settingsOf(values.set),
    folder: values.folder ?? null,
    output: values.output ?? null,
  }
}

/** The names that begin so: `postfix` is all that Postfix does. */
function chosen(option: string, text: string, from: readonly { readonly name: string }[]): string[] {
  const names = from.map(({ name }) => name)
  const words = text.split(',').map(word => word.trim())
  return words
    .filter(word => word !== '')
    .flatMap(word => {
      const found = names.filter(name => name.startsWith(word))
      if (found.length === 0) throw new Error(`${option} ${word}: there is ${names.join(', ')}`)
      return found
    })
}

/** `relay.concurrency=50,signer.workers=2` */
function settingsOf(text: string): Arguments['settings'] {
  const settings: Record<string, Record<string, string | number>> = {}
  for (const word of text.split(',').filter(each => each !== '')) {
    const [, table = '', key = '', value = ''] = /^([a-z_.]+)\.([a-z_]+)=(.+)$/.exec(word) ?? []
    if (table === '') throw new Error(`--set ${word}: write for example relay.concurrency=50`)
    settings[table] = { ...settings[table], [key]: /^\d+$/.test(value) ? Number(value) : value }
  }
  return settings
}

function positive(option: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} ${text}: write a number above 0`)
  return value
}
