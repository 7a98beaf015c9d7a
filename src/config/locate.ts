/** In which line of a TOML file a key stands: the parser tells only where its own errors are. */

/**
 * The line of `path`'s last key, counted from 1; where it is not written, the line of the nearest table that holds it;
 * `null` where that is not written either.
 */
export function locate(toml: string, path: readonly string[]): number | null {
  let best: { depth: number; line: number | null } = { depth: 0, line: null }
  let table: readonly string[] = []
  let quotes: string | undefined
  for (const [index, line] of toml.split('\n').entries()) {
    if (quotes !== undefined) {
      // Inside a multi-line string nothing is a key.
      if (line.includes(quotes)) quotes = undefined
      continue
    }
    const header = /^\s*\[\[?([^\]]+)\]/.exec(line)?.[1]
    const key = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(line)?.[1]
    if (header !== undefined) table = names(header)
    if (header === undefined && key === undefined) continue
    const here = key === undefined ? table : [...table, ...names(key)]
    const depth = here.length <= path.length && here.every((name, at) => name === path[at]) ? here.length : 0
    if (depth > best.depth) best = { depth, line: index + 1 }
    const [opening, after] = /=\s*("""|''')(.*)/.exec(line)?.slice(1) ?? []
    if (opening !== undefined && !after?.includes(opening)) quotes = opening
  }
  return best.line
}

function names(dotted: string): string[] {
  return [...dotted.matchAll(/"([^"]*)"|'([^']*)'|([\w-]+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  )
}
