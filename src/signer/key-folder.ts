/**
 * The signer's state folder: the private keys it has made, and keys.json, what it knows of all keys. One process writes
 * it, the signer; `ptt key` reads it, and asks for changes by requests (request.ts). Every file is whole at any moment:
 * written beside, synced, renamed, and the folder synced.
 */

import type { KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { FileError, readSecret } from '../config/file.ts'
import { writeWhole } from '../config/whole-file.ts'
import { keyFromPem } from './key-store.ts'
import { type Key, type KeyId, nameOf } from './life-cycle.ts'

const VERSION = 1

export class KeyFolder {
  readonly path: string
  /** Made before there was keys.json: `<selector>.pem` of this domain, as `ptt init` wrote it. */
  readonly #domain: string

  constructor(path: string, domain: string) {
    this.path = path
    this.#domain = domain
  }

  get stateFile(): string {
    return join(this.path, 'keys.json')
  }

  /** What was saved last; nothing in a new folder. @throws FileError when it cannot be read or understood */
  load(): readonly Key[] {
    let text: string
    try {
      text = readFileSync(this.stateFile, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw new FileError(`${this.stateFile}: ${(error as Error).message}`, { cause: error })
    }
    return parseState(this.stateFile, text)
  }

  /** @throws FileError: then what is there is as it was */
  save(keys: readonly Key[]): void {
    this.#write(this.stateFile, `${JSON.stringify({ version: VERSION, keys }, null, 2)}\n`)
  }

  /** The private key of one that was made here. @throws FileError */
  readPrivate(id: KeyId): KeyObject {
    const path = this.#pathOf(id)
    return keyFromPem({ name: path, text: readSecret(path) })
  }

  hasPrivate(id: KeyId): boolean {
    return existsSync(this.#pathOf(id))
  }

  /** On disk before anything else knows of the key. @throws FileError */
  writePrivate(id: KeyId, key: KeyObject): void {
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
    this.#write(this.#newPathOf(id), pem)
  }

  /** Nobody can sign with it any more. */
  destroyPrivate(id: KeyId): void {
    rmSync(this.#pathOf(id), { force: true })
  }

  #pathOf(id: KeyId): string {
    const path = this.#newPathOf(id)
    if (id.domain !== this.#domain || existsSync(path)) return path
    return join(this.path, `${id.selector}.pem`)
  }

  #newPathOf(id: KeyId): string {
    return join(this.path, `${nameOf(id)}.pem`)
  }

  #write(path: string, text: string): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 })
      writeWhole(path, text)
    } catch (error) {
      throw new FileError(`${path}: cannot be written: ${(error as Error).message}`, { cause: error })
    }
  }
}

const FIELDS: Readonly<Record<keyof Key, readonly string[]>> = {
  domain: ['string'],
  selector: ['string'],
  algorithm: ['string'],
  record: ['string'],
  origin: ['string'],
  stage: ['string'],
  sinceMs: ['number'],
  createdMs: ['number'],
  reason: ['string'],
  unasked: ['boolean'],
  staleSeconds: ['number'],
  everywhereMs: ['number', 'null'],
  neededUntilMs: ['number'],
  revokedUntilMs: ['number', 'null'],
  forbidden: ['boolean'],
  replaces: ['object'],
}

/** @throws FileError */
function parseState(path: string, text: string): readonly Key[] {
  const broken = (what: string, cause?: unknown): FileError =>
    new FileError(
      `${path}: ${what}: put a copy of it back; or move it away, and the signer begins anew with the keys it finds`,
      { cause },
    )
  let state: unknown
  try {
    state = JSON.parse(text)
  } catch (error) {
    throw broken('is not JSON', error)
  }
  const { version, keys } = (state ?? {}) as { version?: unknown; keys?: unknown }
  if (version !== VERSION) throw broken(`is of version ${String(version)}, and this is ${VERSION}`)
  if (!Array.isArray(keys) || !keys.every(isKey)) throw broken('has a key that cannot be understood')
  return keys
}

function isKey(value: unknown): value is Key {
  if (typeof value !== 'object' || value === null) return false
  const given = value as Record<string, unknown>
  return Object.entries(FIELDS).every(([field, types]) =>
    types.includes(given[field] === null ? 'null' : typeof given[field]),
  )
}
