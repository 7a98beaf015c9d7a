/** One commit of the repository → a Directory, or everything that is wrong with it. */

import type { Mailbox } from '../smtp/path.ts'
import { type Targets, targetsOf, unendingTargets } from './alias.ts'
import type { Directory, User } from './directory.ts'
import { domainOf, localPartOf, placeOf } from './layout.ts'
import { foldLocalPart } from './may-send.ts'
import type { Blob } from './objects.ts'
import { DirectoryError, type Parsed, type Problem, Schema, type UserFile } from './schema.ts'

/** A Directory that can be listed. */
export interface WholeDirectory extends Directory {
  /** By User.name. */
  readonly users: ReadonlyMap<string, User>
  /** How many mailboxes aliases.toml files name. */
  readonly aliases: number
}

/** A user's file is some hundred octets; all aliases of a domain are one file. */
const MAX_FILE_OCTETS = 4 * 1024 * 1024
const MAX_TOTAL_OCTETS = 128 * 1024 * 1024
/** So many files are read before others get their turn: about 5 ms (measured). */
const BATCH = 200
/** The same where nothing is parsed. */
const MANY = 2000

/** What a file says. */
type Entry =
  | { readonly kind: 'user'; readonly domain: string; readonly user: User; readonly line: number }
  | { readonly kind: 'aliases'; readonly domain: string; readonly aliases: readonly Alias[] }
  | { readonly kind: 'domain'; readonly domain: string }

interface Alias {
  readonly name: string
  readonly to: readonly Mailbox[]
  readonly line: number
}

type Entries = ReadonlyMap<string, { readonly oid: string; readonly entry: Entry }>

/** Reads commits of one repository; a file that did not change since the last commit is not read again. */
export class Reader {
  readonly #domain: string
  readonly #schemas = new Map<string, Schema>()
  #entries: Entries = new Map()

  /** `domain` is the deployment's: the one of the original layout, and of login names without one. */
  constructor(domain: string) {
    this.#domain = domainOf(domain) ?? domain
  }

  /** Rejects with a DirectoryError that has all problems. `contents` gives blobs in the order asked for. */
  async read(
    commit: string,
    blobs: Iterable<Blob>,
    contents: (oids: readonly string[]) => Promise<readonly Uint8Array[]>,
  ): Promise<WholeDirectory> {
    const problems: Problem[] = []
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
      else wanted.push(blob)
    }
    const totalOctets = wanted.reduce((sum, blob) => sum + blob.sizeOctets, 0)
    if (totalOctets > MAX_TOTAL_OCTETS) {
      const rule = `the files together have ${totalOctets} octets: more than ${MAX_TOTAL_OCTETS} are not read`
      throw new DirectoryError([...problems, { file: '.', line: 1, rule }])
    }
    const octets = await contents(wanted.map(({ oid }) => oid))
    for (const [index, blob] of wanted.entries()) {
      if (index % BATCH === BATCH - 1) await turn()
      const entry = this.#parse(blob.path, octets[index] ?? new Uint8Array(), problems)
      if (entry) entries.set(blob.path, { oid: blob.oid, entry })
    }
    const directory = await this.#assemble(commit, entries, problems)
    if (problems.length > 0) throw new DirectoryError(problems.toSorted((a, b) => (a.file < b.file ? -1 : 1)))
    this.#entries = entries
    return directory
  }

  #parse(path: string, octets: Uint8Array, problems: Problem[]): Entry | null {
    const place = placeOf(path)
    if (place.kind === 'ignored' || place.kind === 'problem') return null
    const text = utf8(octets)
    if (text === null) {
      problems.push({ file: path, line: 1, rule: 'the file is not UTF-8' })
      return null
    }
    const domain = place.kind === 'original' ? this.#domain : place.domain
    const schema = this.#schema(domain)
    const told = <Value>(file: Parsed<Value>) => {
      if (!file.ok) problems.push(...file.problems)
      return file.ok ? file : null
    }
    switch (place.kind) {
      case 'domain':
        return told(schema.domain(path, text)) && { kind: 'domain', domain }
      case 'aliases': {
        const file = told(schema.aliases(path, text))
        return file && { kind: 'aliases', domain, aliases: aliasesOf(path, domain, file, problems) }
      }
      case 'user':
      case 'original': {
        const file = told(place.kind === 'user' ? schema.user(path, text) : schema.original(path, text))
        const user = file && userOf(place.localPart, domain, file.value)
        return user && { kind: 'user', domain, user, line: file.lines.get('targets') ?? 1 }
      }
    }
  }

  async #assemble(commit: string, entries: Entries, problems: Problem[]): Promise<WholeDirectory> {
    const users = new Map<string, User>()
    const domains = new Set<string>()
    const targets: Targets = new Map()
    let aliases = 0
    let scram = true
    const add = (name: string, to: readonly Mailbox[], file: string, line: number) => {
      const other = targets.get(name)
      if (other) problems.push({ file, line, rule: `${name} is already in ${other.file}:${other.line}` })
      else targets.set(name, { to, file, line })
    }
    let index = 0
    for (const [path, { entry }] of entries) {
      if (index++ % MANY === MANY - 1) await turn()
      domains.add(entry.domain)
      if (entry.kind === 'user') {
        add(entry.user.name, entry.user.targets, path, entry.line)
        users.set(entry.user.name, entry.user)
        scram &&= entry.user.verifier.scheme === 'SCRAM-SHA-256'
      } else if (entry.kind === 'aliases') {
        for (const { name, to, line } of entry.aliases) add(name, to, path, line)
        aliases += entry.aliases.length
      }
    }
    await turn()
    problems.push(...unendingTargets(targets))
    return new CommitDirectory({ commit, domain: this.#domain, domains, users, scram, aliases, targets })
  }

  #schema(domain: string): Schema {
    const schema = this.#schemas.get(domain) ?? new Schema(domain)
    this.#schemas.set(domain, schema)
    return schema
  }
}

function userOf(localPart: string, domain: string, { password, senders, targets }: UserFile): User {
  const name = `${localPart}@${domain}`
  const own = senders.includes(name) ? senders : [name, ...senders]
  return { name, localPart, domain, ...password, senders: own, targets }
}

function aliasesOf(
  file: string,
  domain: string,
  {
    value,
    lines,
  }: { readonly value: Record<string, Mailbox[]>; readonly lines: ReadonlyMap<string, number> },
  problems: Problem[],
): Alias[] {
  return Object.entries(value).flatMap(([key, to]) => {
    const line = lines.get(key) ?? 1
    const localPart = localPartOf(key)
    if (localPart === null) problems.push({ file, line, rule: `${JSON.stringify(key)} is not a local-part` })
    return localPart === null ? [] : [{ name: `${localPart}@${domain}`, to, line }]
  })
}

interface Parts {
  readonly commit: string
  readonly domain: string
  readonly domains: ReadonlySet<string>
  readonly users: ReadonlyMap<string, User>
  readonly scram: boolean
  readonly aliases: number
  readonly targets: Targets
}

class CommitDirectory implements WholeDirectory {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get commit() {
    return this.#parts.commit
  }

  get domains() {
    return this.#parts.domains
  }

  get users() {
    return this.#parts.users
  }

  get scram() {
    return this.#parts.scram
  }

  get aliases() {
    return this.#parts.aliases
  }

  user(name: string): User | undefined {
    const at = name.lastIndexOf('@')
    const localPart = foldLocalPart(at < 0 ? name : name.slice(0, at))
    const domain = at < 0 ? this.#parts.domain : domainOf(name.slice(at + 1))
    return this.#parts.users.get(`${localPart}@${domain}`)
  }

  targets(mailbox: Mailbox): readonly Mailbox[] | undefined {
    // RFC 5321 §4.5.1: <Postmaster> without a domain is the deployment's.
    const domain = mailbox.domain === '' ? this.#parts.domain : domainOf(mailbox.domain)
    return targetsOf(this.#parts.targets, `${foldLocalPart(mailbox.localPart)}@${domain}`)
  }
}

function unreadable(blob: Blob): string | null {
  if (blob.mode === '120000') return 'a symbolic link is not read: write the file itself'
  if (blob.mode === '160000') return 'another repository in this one is not read'
  if (blob.sizeOctets > MAX_FILE_OCTETS) return `${blob.sizeOctets} octets are more than ${MAX_FILE_OCTETS}`
  return null
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function utf8(octets: Uint8Array): string | null {
  try {
    return UTF_8.decode(octets)
  } catch {
    return null
  }
}

// Taken when this is loaded: tests that replace timers must not stop a reading in its middle.
const { setImmediate } = globalThis

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
