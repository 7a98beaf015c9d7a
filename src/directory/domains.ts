/** Domains of ours: a folder each, with a domain.toml. Each change is one commit. */

import { EditError, type EditOptions, edit, type Files } from './edit.ts'
import { placeOf } from './layout.ts'
import { domainNamed, folderOf, requireDomain } from './names.ts'
import { type NewLimits, withLimits } from './user-edits.ts'

export interface DomainDone {
  readonly domain: string
  readonly commit: string
  readonly path: string
}

export async function addDomain(options: EditOptions, name: string): Promise<DomainDone> {
  const domain = domainNamed(name)
  const path = `${domain}/domain.toml`
  const commit = await edit(options, `domains: Add ${domain}`, files => {
    const there = filesOfDomain(files, domain)[0]
    if (there !== undefined) throw new EditError(`${domain} is there already (${there})`)
    return [[path, `# ${domain}\n`]]
  })
  return { domain, commit, path }
}

/** Who is in it goes first: nobody loses users by a typing mistake. */
export async function removeDomain(options: EditOptions, name: string): Promise<DomainDone> {
  const domain = domainNamed(name)
  let path = ''
  const commit = await edit(options, `domains: Remove ${domain}`, files => {
    const there = filesOfDomain(files, domain)
    const others = there.filter(each => placeOf(each).kind !== 'domain')
    if (there.length === 0) throw new EditError(`there is no domain ${domain}: ptt domain list shows all`)
    if (others.length > 0)
      throw new EditError(
        `${domain} has ${others.length} other files, ${others[0]} among them: remove them first`,
      )
    path = there[0] ?? ''
    return there.map(each => [each, null] as const)
  })
  return { domain, commit, path }
}

/** Defaults of its users; domain.toml is made when it is not there. */
export async function limitDomain(
  options: EditOptions,
  name: string,
  limits: NewLimits,
): Promise<DomainDone> {
  const domain = domainNamed(name)
  let path = ''
  const commit = await edit(options, `domains: Limits of ${domain}`, files => {
    requireDomain(files, domain, options.domain)
    const there = filesOfDomain(files, domain).find(each => placeOf(each).kind === 'domain')
    path = there ?? `${folderOf(files, domain)}/domain.toml`
    return [[path, withLimits(path, files.get(path) ?? `# ${domain}\n`, 'default_limits', limits)]]
  })
  return { domain, commit, path }
}

function filesOfDomain(files: Files, domain: string): string[] {
  return [...files.keys()].filter(path => {
    const place = placeOf(path)
    return 'domain' in place && place.domain === domain
  })
}
