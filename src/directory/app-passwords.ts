/** Passwords for one program each, beside a user's own: made here, shown once, and each taken away alone. */

import { randomInt } from 'node:crypto'
import { EditError, type EditOptions, edit, readRepository } from './edit.ts'
import { addressOf, mailboxNamed, userPath } from './names.ts'
import { formatVerifier, makeVerifier, type ScramVerifier } from './password.ts'
import { DirectoryError } from './problem.ts'
import { keysIn, setKey } from './toml-edit.ts'
import type { Done } from './users.ts'

/** Without those that are taken for others when somebody types them: 32 of them, 5 bits each. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789'
/** 100 bits, in four groups. */
const LENGTH = 20

export interface NewAppPassword extends Done {
  readonly password: string
}

export async function addAppPassword(
  options: EditOptions,
  name: string,
  label: string,
): Promise<NewAppPassword> {
  const mailbox = mailboxNamed(name, options.domain)
  const user = addressOf(mailbox)
  const own = (await readRepository(options)).user(user)?.verifier
  if (own?.scheme === 'BLAKE2B-512')
    throw new EditError(`${user} has a hash of the original ptt: first ptt user passwd ${user}`)
  const password = generate()
  const verifier = formatVerifier(await makeVerifier(password, own))
  let path = ''
  const commit = await edit(options, `users: Add the app password ${label} of ${user}`, files => {
    path = userPath(files, mailbox, options.domain)
    const text = files.get(path) ?? ''
    const table = keysIn(text).includes('app_passwords') ? text : `${text.trimEnd()}\n\n[app_passwords]\n`
    if (keysIn(table, 'app_passwords').includes(label))
      throw new EditError(`${user} has an app password ${label} already (${path})`)
    const after = setKey(table, ['app_passwords', label], verifier)
    if (after === null) throw new EditError(`app_passwords in ${path}: change it there by hand`)
    return [[path, after]]
  })
  return { user, commit, path, password }
}

export async function removeAppPassword(options: EditOptions, name: string, label: string): Promise<Done> {
  const mailbox = mailboxNamed(name, options.domain)
  const user = addressOf(mailbox)
  let path = ''
  const commit = await edit(options, `users: Remove the app password ${label} of ${user}`, files => {
    path = userPath(files, mailbox, options.domain)
    const text = files.get(path) ?? ''
    if (!keysIn(text, 'app_passwords').includes(label))
      throw new EditError(`${user} has no app password ${label} (${path})`)
    const after = setKey(text, ['app_passwords', label], undefined)
    if (after === null) throw new EditError(`app_passwords in ${path}: change it there by hand`)
    return [[path, after]]
  })
  return { user, commit, path }
}

/** For a new password: the salt and the iterations of the old one, where app passwords depend on them. */
export async function passwordParameters(
  options: EditOptions,
  name: string,
): Promise<Partial<Pick<ScramVerifier, 'salt' | 'iterations'>>> {
  const user = await readRepository(options).then(
    directory => directory.user(addressOf(mailboxNamed(name, options.domain))),
    (error: unknown) => {
      // The new password may be the repair.
      if (error instanceof DirectoryError || error instanceof EditError) return undefined
      throw error
    },
  )
  if (user?.appPasswords === undefined || user.verifier.scheme !== 'SCRAM-SHA-256') return {}
  const { salt, iterations } = user.verifier
  return { salt, iterations }
}

function generate(): string {
  const letters = Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)])
  return letters.join('').replace(/.{5}(?!$)/g, '$&-')
}
