/** What was read elsewhere, and how it gets into the repository: one commit, all of it or nothing. */

import type { Mailbox } from '../../smtp/path.ts'
import type { Difference } from '../compare.ts'
import { type Change, EditError, type EditOptions, edit, type Files, rehearse } from '../edit.ts'
import { localPartOf, placeOf } from '../layout.ts'
import { addressOf, folderOf, pathNow } from '../names.ts'
import { formatProblem, type Problem } from '../problem.ts'
import { formatKey, formatValue, keysIn } from '../toml-edit.ts'

export interface Imported {
  readonly users: readonly { readonly mailbox: Mailbox; readonly path: string; readonly text: string }[]
  readonly aliases: readonly { readonly mailbox: Mailbox; readonly targets: readonly string[] }[]
  /** Of ours: each gets a domain.toml where it has no folder. */
  readonly domains: readonly string[]
}

/** Throws every problem of what was to be imported. */
export function refuseProblems(problems: readonly Problem[]): void {
  if (problems.length > 0)
    throw new EditError(`nothing was imported:\n${problems.map(formatProblem).join('\n')}`)
}

/** The commit. Who is there already is not touched: that is an error. */
export function importAll(options: EditOptions, source: string, imported: Imported): Promise<string> {
  const { users, aliases } = imported
  const some = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`
  const what = `${some(users.length, 'user', 'users')} and ${some(aliases.length, 'alias', 'aliases')}`
  return edit(options, `directory: Import ${what} from ${source}`, importing(options, imported))
}

/** What the commit would change, and that it could be made. */
export function rehearseImport(options: EditOptions, imported: Imported): Promise<Difference[]> {
  return rehearse(options, importing(options, imported))
}

function importing(options: EditOptions, { users, aliases, domains }: Imported) {
  return (files: Files): Change[] => {
    const there = users.filter(({ mailbox }) => pathNow('user', files, mailbox, options.domain) !== null)
    if (there.length > 0)
      throw new EditError(
        `nothing was imported, these users are there already: ${there.map(({ mailbox }) => addressOf(mailbox)).join(', ')}`,
      )
    return [
      ...domains.flatMap(domain => newDomain(files, domain)),
      ...users.map(({ path, text }): Change => [path, text]),
      ...newAliases(files, aliases),
    ]
  }
}

function newDomain(files: Files, domain: string): Change[] {
  const known = [...files.keys()].some(path => {
    const place = placeOf(path)
    return 'domain' in place && place.domain === domain
  })
  return known ? [] : [[`${domain}/domain.toml`, `# ${domain}\n`]]
}

function newAliases(files: Files, aliases: Imported['aliases']): Change[] {
  return [...Map.groupBy(aliases, ({ mailbox }) => mailbox.domain)].map(([domain, ofDomain]) => {
    const now = [...files].find(([path]) => {
      const place = placeOf(path)
      return place.kind === 'aliases' && place.domain === domain
    })
    const [path, text] = now ?? [`${folderOf(files, domain)}/aliases.toml`, '']
    const keys = new Set(keysIn(text).map(localPartOf))
    const there = ofDomain.filter(({ mailbox }) => keys.has(mailbox.localPart))
    if (there.length > 0)
      throw new EditError(
        `nothing was imported, these aliases are there already: ${there.map(({ mailbox }) => addressOf(mailbox)).join(', ')}`,
      )
    const lines = ofDomain.map(
      ({ mailbox, targets }) => `${formatKey(mailbox.localPart)} = ${formatValue(targets)}\n`,
    )
    const before = text === '' || text.endsWith('\n') ? text : `${text}\n`
    return [path, before + lines.join('')]
  })
}
