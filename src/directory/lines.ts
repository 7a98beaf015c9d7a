/** Where in a file of the repository something stands: a TOML parser gives values, people want lines. */

/** Line, from 1, by the names of the keys on the way to a value, joined by NUL; the top ones by their own name. */
export type Lines = ReadonlyMap<string, number>

const PART = String.raw`(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')`
/** `[table]` */
export const HEADER = new RegExp(String.raw`^\s*\[\[?\s*(${PART}(?:\s*\.\s*${PART})*)\s*\]`)
/** `key =`, `table.key =` */
export const KEY = new RegExp(String.raw`^\s*(${PART}(?:\s*\.\s*${PART})*)\s*=`)

/** The files have keys of two parts; what is deeper is an error of which the line around it is told. */
const DEEPEST = 3

/** One pass, TOML and JSON both. A key within braces on one line has none of its own. */
export function linesOfKeys(text: string): Lines {
  const lines = new Map<string, number>()
  let table: readonly string[] = []
  const note = (path: readonly string[], line: number) => {
    for (let length = 1; length <= Math.min(path.length, DEEPEST); length++) {
      const name = path.slice(0, length).join('\0')
      if (!lines.has(name)) lines.set(name, line)
    }
  }
  for (const [index, line] of text.split('\n').entries()) {
    const header = HEADER.exec(line)?.[1]
    if (header !== undefined) {
      table = partsOf(header)
      note(table, index + 1)
      continue
    }
    const key = KEY.exec(line)?.[1]
    if (key !== undefined) note([...table, ...partsOf(key)], index + 1)
    else for (const [, name = ''] of line.matchAll(/"(\w+)"\s*:/g)) note([name], index + 1)
  }
  return lines
}

/** The line of what is at `path`; of an element of a list, its own; else of what is around it. */
export function lineAt(text: string, lines: Lines, path: readonly PropertyKey[]): number {
  const index = path.findIndex(part => typeof part === 'number')
  const names = (index < 0 ? path : path.slice(0, index)).map(String)
  for (let length = Math.min(names.length, DEEPEST); length > 0; length--) {
    const line = lines.get(names.slice(0, length).join('\0'))
    if (line === undefined) continue
    return length === names.length && index >= 0
      ? lineOfElement(text, lines, line, Number(path[index]))
      : line
  }
  return 1
}

/** The lines of the elements of a list, by the line of its key: looked for once, however many of them are wrong. */
const ELEMENTS = new WeakMap<Lines, Map<number, readonly number[]>>()

function lineOfElement(text: string, lines: Lines, line: number, index: number): number {
  const known = ELEMENTS.get(lines) ?? new Map<number, readonly number[]>()
  ELEMENTS.set(lines, known)
  const places = known.get(line) ?? linesOfElements(text, line)
  known.set(line, places)
  return places[index] ?? line
}

// An element stands in the key's line or below it.
function linesOfElements(text: string, line: number): number[] {
  const places: number[] = []
  const below = text.split('\n').slice(line - 1)
  for (const [offset, each] of below.entries()) {
    const bare = offset === 0 ? each.slice(each.search(/[=:]/) + 1) : each
    // Comments hold no elements.
    for (const [found] of bare.matchAll(/"(?:[^"\\]|\\.)*"|'[^']*'|#.*|[\w.+-]+/g))
      if (!found.startsWith('#')) places.push(line + offset)
  }
  return places
}

/** Of a key as it is written. */
export function partsOf(key: string): string[] {
  return [...key.matchAll(new RegExp(PART, 'g'))].map(([part]) => part.replace(/^(["'])(.*)\1$/, '$2'))
}
