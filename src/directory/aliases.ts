/** Addresses that lead elsewhere: a key each in aliases.toml of their domain. Each change is one commit. */

import { type Change, EditError, type EditOptions, edit, type Files } from './edit.ts'
import { localPartOf, mailboxOf, placeOf } from './layout.ts'
import { foldMailbox } from './may-send.ts'
import { addressOf, folderOf, mailboxNamed, newMailboxNamed, requireDomain } from './names.ts'
import { keysIn, listIn, setKey, type TomlValue } from './toml-edit.ts'

export interface Aliased {
  /** `sales@example.com` */
  readonly alias: string
  readonly commit: string
  readonly path: string
}

/** A new alias, or more targets of one that is there; those it has already are left. */
export async function addAlias(
  options: EditOptions,
  name: string,
  targets: readonly string[],
): Promise<Aliased> {
  const mailbox = mailboxNamed(name, options.domain)
  const alias = addressOf(mailbox)
  for (const target of targets) foldTarget(target, mailbox.domain)
  let path = ''
  const commit = await edit(options, `aliases: Let ${alias} lead to ${targets.join(', ')}`, files => {
    requireDomain(files, mailbox.domain, options.domain)
    const file = fileOf(files, mailbox.domain)
    path = file.path
    const key = keyOf(file.text, mailbox.localPart)
    if (!keysIn(file.text).includes(key)) newMailboxNamed(name, options.domain)
    const there = listIn(file.text, key)
    const known = new Set(there.map(target => foldTarget(target, mailbox.domain)))
    const more = targets.filter(target => !known.has(foldTarget(target, mailbox.domain)))
    return [withAlias(file, key, [...there, ...more])]
  })
  return { alias, commit, path }
}

/** Without `targets`, the alias itself; with them, it is gone with the last one. */
export async function removeAlias(
  options: EditOptions,
  name: string,
  targets: readonly string[],
): Promise<Aliased> {
  const mailbox = mailboxNamed(name, options.domain)
  const alias = addressOf(mailbox)
  const subject =
    targets.length === 0
      ? `aliases: Remove ${alias}`
      : `aliases: Let ${alias} no longer lead to ${targets.join(', ')}`
  let path = ''
  const commit = await edit(options, subject, files => {
    const file = fileOf(files, mailbox.domain)
    path = file.path
    const key = keyOf(file.text, mailbox.localPart)
    if (!keysIn(file.text).includes(key))
      throw new EditError(`there is no alias ${alias}: ptt alias list shows all`)
    const there = listIn(file.text, key)
    const gone = targets.map(target => foldTarget(target, mailbox.domain))
    for (const target of gone)
      if (!there.some(each => foldTarget(each, mailbox.domain) === target))
        throw new EditError(`${alias} does not lead to ${target}`)
    const left = there.filter(target => !gone.includes(foldTarget(target, mailbox.domain)))
    return [withAlias(file, key, targets.length === 0 || left.length === 0 ? undefined : left)]
  })
  return { alias, commit, path }
}

interface AliasFile {
  readonly path: string
  readonly text: string
}

function fileOf(files: Files, domain: string): AliasFile {
  for (const [path, text] of files) {
    const place = placeOf(path)
    if (place.kind === 'aliases' && place.domain === domain) return { path, text }
  }
  return { path: `${folderOf(files, domain)}/aliases.toml`, text: '' }
}

/** As it is written there, in whatever case. */
function keyOf(text: string, localPart: string): string {
  return keysIn(text).find(key => localPartOf(key) === localPart) ?? localPart
}

function withAlias({ path, text }: AliasFile, key: string, targets: TomlValue | undefined): Change {
  const after = setKey(text, [key], targets)
  if (after === null) throw new EditError(`${key} in ${path} has a comment within: change it there by hand`)
  return [path, after]
}

function foldTarget(target: string, domain: string): string {
  const mailbox = mailboxOf(target, domain)
  if (mailbox === null)
    throw new EditError(`${JSON.stringify(target)} is not a mailbox: write it like alice@example.com`)
  return addressOf(foldMailbox(mailbox))
}
