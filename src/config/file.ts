/** The files ptt.toml names: certificates, and secrets whose modes are checked before they are read. */

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'

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
  return read(path, mode =>
    (mode & 0o077) === 0
      ? null
      : `${path}: others may read it (mode ${(mode & 0o777).toString(8)}): run chmod 600 ${path}`,
  )
}

/** Opened once, so that what was checked is what is read. */
function read(path: string, complaint: (mode: number) => string | null): string {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
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
