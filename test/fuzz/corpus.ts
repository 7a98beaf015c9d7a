/**
 * The inputs that are kept, `corpus/<target>/`: one in each file as it is; and in `lines.txt` one a line, with
 * `\r \n \0 \t \\ \xHH`.
 */

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export interface Kept {
  /** File, and line where there are several. */
  readonly name: string
  readonly input: Buffer
}

const folder = join(import.meta.dirname, 'corpus')

export function corpusOf(target: string): Kept[] {
  return readdirSync(join(folder, target))
    .sort()
    .flatMap(file => {
      const octets = readFileSync(join(folder, target, file))
      if (file !== 'lines.txt') return [{ name: file, input: octets }]
      const lines = octets.toString('latin1').replace(/\n$/, '').split('\n')
      return lines.map((line, at) => ({ name: `${file}:${at + 1}`, input: unescaped(line) }))
    })
}

/** The path, from the working directory. */
export function keep(target: string, input: Uint8Array): string {
  const name = `crash-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`
  mkdirSync(join(folder, target), { recursive: true })
  writeFileSync(join(folder, target, name), input)
  return relative('', join(folder, target, name))
}

const ESCAPES: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' }

function unescaped(line: string): Buffer {
  const text = line.replace(/\\(?:x([0-9A-Fa-f]{2})|(.))/g, (whole, hex?: string, letter = '') =>
    hex === undefined ? (ESCAPES[letter] ?? whole) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(text, 'latin1')
}
