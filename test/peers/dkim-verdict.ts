/** What a verifier says of a message, signature by signature. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './program.ts'

/** Name → key record: the DNS of a verifier. */
export type KeyRecords = Readonly<Record<string, string>>

/** Selector → `pass`, or `fail: ` and why. Only signatures whose key is among the records: others are not ours. */
export type Verdicts = ReadonlyMap<string, string>

/** Of the message as a whole: it has a signature of ours, and all of ours are good. */
export function wholeVerdict(verdicts: Verdicts): string {
  if (verdicts.size === 0) return 'fail: no signature'
  return [...verdicts.values()].find(verdict => verdict !== 'pass') ?? 'pass'
}

/** Runs `work` with the paths of the messages and of a file with a line `<name> <record>` for each record. */
export async function withFiles<T>(
  messages: readonly Uint8Array[],
  records: KeyRecords,
  work: (paths: readonly string[], table: string) => Promise<T>,
): Promise<T> {
  const folder = temporaryFolder('dkim')
  try {
    const table = join(folder.path, 'records')
    const lines = Object.entries(records).map(([name, record]) => `${name} ${record}\n`)
    writeFileSync(table, lines.join(''))
    const paths = messages.map((message, i) => {
      const path = join(folder.path, `${i}.eml`)
      writeFileSync(path, message)
      return path
    })
    return await work(paths, table)
  } finally {
    folder.remove()
  }
}

/** What our programs for verifiers print: a line of JSON for each message, a list of [selector, verdict]. */
export function parseVerdicts(output: string): Verdicts[] {
  const lines = output.trimEnd().split('\n')
  return lines.map(line => new Map(JSON.parse(line) as [string, string][]))
}
