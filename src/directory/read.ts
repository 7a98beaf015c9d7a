/** One commit of the repository → a Directory, or everything that is wrong with it. */

import { assemble, type Entries, MANY, turn, type WholeDirectory } from './assemble.ts'
import { type Entry, EntryParser } from './entry.ts'
import { domainOf, placeOf } from './layout.ts'
import type { Blob } from './objects.ts'
import { DirectoryError, type Problem } from './problem.ts'

/** A user's file is some hundred octets; all aliases of a domain are one file. */
const MAX_FILE_OCTETS = 4 * 1024 * 1024
const MAX_TOTAL_OCTETS = 128 * 1024 * 1024
/** So many files are parsed before others get their turn: about 5 ms (measured). */
const BATCH = 200
/** Of a file that is not read yet. */
const PLACE = { oid: '', entry: { kind: 'aliases', domain: '', aliases: [] } as const }

/** Reads commits of one repository; a file that did not change since the last commit is not read again. */
export class Reader {
  readonly #domain: string
  readonly #parser: EntryParser
  #entries: Entries = new Map()

  /** `domain` is the deployment's: the one of the original layout, and of login names without one. */
  constructor(domain: string) {
    this.#domain = domainOf(domain) ?? domain
    this.#parser = new EntryParser(this.#domain)
  }

  /** Rejects with a DirectoryError that has all problems. `contents` gives blobs in the order asked for. */
  async read(
    commit: string,
    blobs: Iterable<Blob>,
    contents: (oids: readonly string[]) => Promise<readonly Uint8Array[]>,
  ): Promise<WholeDirectory> {
    const problems: Problem[] = []
    // In the order of the commit, whatever of it is known: two files that do not agree are told in that order.
    const entries = new Map<string, { oid: string; entry: Entry }>()
    const wanted: Blob[] = []
    let index = 0
    for (const blob of blobs) {
      if (index++ % MANY === MANY - 1) await turn()
      const known = this.#entries.get(blob.path)
      const place = known ? null : placeOf(blob.path)
      if (place?.kind === 'ignored') continue
      const rule = place?.kind === 'problem' ? place.rule : unreadable(blob)
      if (rule !== null) problems.push({ file: blob.path, line: 1, rule })
      else if (known?.oid === blob.oid) entries.set(blob.path, known)
      else {
        entries.set(blob.path, PLACE)
        wanted.push(blob)
      }
    }
    const totalOctets = wanted.reduce((sum, blob) => sum + blob.sizeOctets, 0)
    if (totalOctets > MAX_TOTAL_OCTETS) {
      const rule = `the files together have ${totalOctets} octets: more than ${MAX_TOTAL_OCTETS} are not read`
      throw new DirectoryError([...problems, { file: '.', line: 1, rule }])
    }
    const octets = await contents(wanted.map(({ oid }) => oid))
    for (const [index, blob] of wanted.entries()) {
      if (index % BATCH === BATCH - 1) await turn()
      const read = this.#parser.parse(blob.path, octets[index] ?? new Uint8Array())
      if (read?.ok) entries.set(blob.path, { oid: blob.oid, entry: read.entry })
      else {
        entries.delete(blob.path)
        problems.push(...(read?.problems ?? []))
      }
    }
    // Without the user whose file is broken, a group would be said to name nobody.
    const whole = problems.length === 0
    const assembled = await assemble(commit, this.#domain, entries, whole)
    problems.push(...assembled.problems)
    if (problems.length > 0) throw new DirectoryError(problems.toSorted(byPlace))
    this.#entries = entries
    return assembled.directory
  }
}

function byPlace(one: Problem, other: Problem): number {
  if (one.file === other.file) return one.line - other.line
  return one.file < other.file ? -1 : 1
}

function unreadable(blob: Blob): string | null {
  if (blob.mode === '120000') return 'a symbolic link is not read: write the file itself'
  if (blob.mode === '160000') return 'another repository in this one is not read'
  if (blob.sizeOctets > MAX_FILE_OCTETS) return `${blob.sizeOctets} octets are more than ${MAX_FILE_OCTETS}`
  return null
}
