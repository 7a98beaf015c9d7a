/** Domains of ours: a folder each, with a domain.toml. Each change is one commit. */

import { type Change, EditError, type EditOptions, edit, type Files } from './edit.ts'
import { placeOf } from './layout.ts'
import { domainNamed, folderOf, requireDomain } from './names.ts'
import { type NewLimits, withLimits } from './user-edits.ts'
import { changed } from './users.ts'

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

/** `default_limits`: of each of its users. `total_limits`: of all of them together. */
export function limitDomain(
  options: EditOptions,
  name: string,
  limits: NewLimits,
  table: 'default_limits' | 'total_limits' = 'default_limits',
): Promise<DomainDone> {
  return editDomain(options, name, 'Limits', (path, text) => [path, withLimits(path, text, table, limits)])
}

/** Messages an hour; `null`: no budget. */
export function budgetDomain(
  options: EditOptions,
  name: string,
  perHour: number | null,
): Promise<DomainDone> {
  const change = (path: string, text: string) => changed(path, text, 'signing_budget', perHour ?? undefined)
  return editDomain(options, name, 'Signing budget', change)
}

/** `always`: as every domain is unless its file says otherwise. */
export function signDomain(
  options: EditOptions,
  name: string,
  sign: 'always' | 'never',
): Promise<DomainDone> {
  const value = sign === 'never' ? sign : undefined
  return editDomain(options, name, 'Signing', (path, text) => changed(path, text, 'sign', value))
}

/** A template for the selectors of its keys; `null`: that of ptt.toml. */
export function selectorOfDomain(
  options: EditOptions,
  name: string,
  template: string | null,
): Promise<DomainDone> {
  const change = (path: string, text: string) => changed(path, text, 'selector', template ?? undefined)
  return editDomain(options, name, 'Selector', change)
}

/** domain.toml is made when it is not there. */
async function editDomain(
  options: EditOptions,
  name: string,
  what: string,
  change: (path: string, text: string) => Change,
): Promise<DomainDone> {
  const domain = domainNamed(name)
  let path = ''
  const commit = await edit(options, `domains: ${what} of ${domain}`, files => {
    requireDomain(files, domain, options.domain)
    const there = filesOfDomain(files, domain).find(each => placeOf(each).kind === 'domain')
    path = there ?? `${folderOf(files, domain)}/domain.toml`
    return [change(path, files.get(path) ?? `# ${domain}\n`)]
  })
  return { domain, commit, path }
}

function filesOfDomain(files: Files, domain: string): string[] {
  return [...files.keys()].filter(path => {
    const place = placeOf(path)
    return 'domain' in place && place.domain === domain
  })
}
