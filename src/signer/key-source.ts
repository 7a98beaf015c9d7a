/**
 * Where a private key or a seed is read from: a file whose mode is checked, a folder of them, a descriptor that whoever
 * started the process has opened, or a systemd credential. The last two need no disk that anybody could read.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { FileError, readSecret } from '../config/file.ts'
import type { KeySource } from '../config/tables/signer.ts'
import { isDomain } from '../smtp/domain.ts'

/** A secret as it was read. */
export interface SecretText {
  /** What to call it in an error: the path, `fd:3`, `credential:dkim`. */
  readonly name: string
  readonly text: string
  /** In a folder: the names of the file and of the folder it is in say whose key it is. */
  readonly selector?: string
  readonly domain?: string
}

/** @throws FileError */
export function readSource(source: KeySource): SecretText {
  const name = formatSource(source)
  switch (source.kind) {
    case 'file':
      return { name, text: readSecret(source.path) }
    case 'descriptor':
      return { name, text: readDescriptor(source.descriptor) }
    case 'credential':
      return { name, text: readSecret(name) }
    case 'given':
      return { name, text: source.text }
  }
}

/**
 * The same; of a folder all that is in it: `<selector>.pem` of the deployment's domain, `<domain>/<selector>.pem` of others.
 * @throws FileError also for a folder with no key in it
 */
export function readSources(source: KeySource): SecretText[] {
  if (source.kind !== 'file' || statSync(source.path, { throwIfNoEntry: false })?.isDirectory() !== true)
    return [readSource(source)]
  const found = readFolder(source.path, undefined)
  if (found.length === 0)
    throw new FileError(`${source.path}: is a folder without keys: put them there as <selector>.pem`)
  return found
}

export function formatSource(source: KeySource): string {
  switch (source.kind) {
    case 'file':
      return source.path
    case 'descriptor':
      return `fd:${source.descriptor}`
    case 'credential':
      return `credential:${source.credential}`
    case 'given':
      return source.option
  }
}

function readFolder(folder: string, domain: string | undefined): SecretText[] {
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap(entry => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) {
        if (domain !== undefined || !isDomain(entry.name)) return []
        return readFolder(path, entry.name.toLowerCase())
      }
      if (!entry.name.endsWith('.pem')) return []
      const selector = basename(entry.name, '.pem').toLowerCase()
      return [{ name: path, text: readSecret(path), selector, ...(domain === undefined ? {} : { domain }) }]
    })
}

/** It can be read once: whoever opened it may have made it a pipe. */
function readDescriptor(descriptor: number): string {
  try {
    return readFileSync(descriptor, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new FileError(
      `fd:${descriptor}: cannot be read (${reason}): open it for the process, as in ptt signer ${descriptor}< key.pem`,
      { cause: error },
    )
  }
}
