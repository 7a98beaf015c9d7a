/**
 * The files ptt.toml names: certificates, and secrets whose modes are checked before they are read. One that is written
 * `credential:NAME` is a credential that systemd hands to the service (LoadCredential= of its unit): a file of the
 * service's own, in memory, in the folder $CREDENTIALS_DIRECTORY.
 */

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What is wrong with a file, and what to do about it. */
export class FileError extends Error {}

export function readPem(path: string): string {
  const text = read(path, () => null)
  if (!text.includes('-----BEGIN ')) throw new FileError(`${path}: is not PEM ("-----BEGIN …" is missing)`)
  return text
}

/** What is neither secret nor in a format of its own. */
export function readText(path: string): string {
  return read(path, () => null)
}

export function readJson(path: string): unknown {
  const text = read(path, () => null)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FileError(`${path}: is not JSON`, { cause })
  }
}

/** A secret: nobody but its owner may read or write the file. */
export function readSecret(path: string): string {
  // systemd gives a credential by an ACL, whose mask shows as rights of the group: those of others are what can be told.
  const foreign = credentialName(path) === undefined ? 0o077 : 0o007
  return read(path, mode =>
    (mode & foreign) === 0
      ? null
      : `${path}: others may read it (mode ${(mode & 0o777).toString(8)}): run chmod 600 ${path}`,
  )
}

/** The name in `credential:NAME`. */
export function credentialName(path: string): string | undefined {
  return /^credential:([^/\0]+)$/.exec(path)?.[1]
}

/** Where that is, or what is at the path itself. */
function place(path: string): string {
  const name = credentialName(path)
  if (name === undefined) return path
  const folder = process.env.CREDENTIALS_DIRECTORY
  if (folder === undefined)
    throw new FileError(
      `${path}: there is no $CREDENTIALS_DIRECTORY: write LoadCredential=${name}:/path in the unit of systemd`,
    )
  return join(folder, name)
}

/** Opened once, so that what was checked is what is read. */
function read(path: string, complaint: (mode: number) => string | null): string {
  let descriptor: number
  try {
    descriptor = openSync(place(path), 'r')
  } catch (error) {
    if (error instanceof FileError) throw error
    if (credentialName(path) !== undefined)
      throw new FileError(`${path}: ${place(path)} cannot be read: is it in the unit of systemd?`, {
        cause: error,
      })
    throw new FileError(`${path}: ${reason(error)}`, { cause: error })
  }
  try {
    const problem = complaint(fstatSync(descriptor).mode)
    if (problem !== null) throw new FileError(problem)
    return readFileSync(descriptor, 'utf8')
  } catch (error) {
    if (error instanceof FileError) throw error
    throw new FileError(`${path}: ${reason(error)}`, { cause: error })
  } finally {
    closeSync(descriptor)
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT')
    return 'there is no such file: put it there (`ptt init` makes those of a new deployment) or correct the path in ptt.toml'
  if (code === 'EACCES') return 'may not be read by this user'
  return error instanceof Error ? error.message : String(error)
}
