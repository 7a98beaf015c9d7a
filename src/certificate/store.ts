/**
 * What is kept on disk: the account key, a note of what was tried, and the pair that submission reads. Each file is written
 * whole under another name and renamed, so that who reads it finds the old one or the new one.
 */

import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { FileError, readSecret } from '../config/file.ts'
import { type CertificatePair, type PairFiles, readPair } from '../config/pair.ts'
import { putInPlace, writeBeside, writeWhole } from '../config/whole-file.ts'
import type { Place } from './challenge-record.ts'

/** A note of what was tried, so that a restart neither forgets a pause nor a record that is to be removed. */
export interface Note {
  /** The certificate that was issued last, by its fingerprint, and by whom. */
  readonly issued: { readonly fingerprint: string; readonly directory: string; readonly atMs: number } | null
  /** Failures since then. */
  readonly failures: number
  /** Not to be tried before; milliseconds since 1970. */
  readonly retryMs: number | null
  readonly lastError: {
    readonly step: string
    readonly reason: string
    readonly rateLimited: boolean
    readonly atMs: number
  } | null
  /** Values that we have published and not yet removed. */
  readonly published: readonly (Place & { readonly value: string })[]
}

const EMPTY: Note = { issued: null, failures: 0, retryMs: null, lastError: null, published: [] }

export class Store {
  readonly #folder: string
  readonly #files: PairFiles

  constructor(folder: string, files: PairFiles) {
    this.#folder = folder
    this.#files = files
  }

  /**
   * The account key at a CA, PEM: made where there is none, and on disk before it is used: an account whose key is lost
   * cannot be found again.
   *
   * @throws FileError
   */
  accountKey(directory: string): string {
    const path = join(this.#folder, `account-${new URL(directory).host.replace(/[^a-z0-9.-]/gi, '_')}.key`)
    if (!existsSync(path)) write(path, newKey('ecdsa-p256'))
    return readSecret(path)
  }

  /** A note that is damaged is no note: all it costs is an attempt too early. */
  readNote(): Note {
    try {
      const note = JSON.parse(readFileSync(this.#notePath, 'utf8')) as Partial<Note> | null
      if (typeof note?.failures === 'number' && Array.isArray(note.published)) return { ...EMPTY, ...note }
    } catch (error) {
      if (!(error instanceof SyntaxError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    return EMPTY
  }

  writeNote(note: Note): void {
    write(this.#notePath, `${JSON.stringify(note, null, 2)}\n`)
  }

  get #notePath(): string {
    return join(this.#folder, 'note.json')
  }

  /** The pair in place, or why there is none that can be used. */
  readPair(): CertificatePair | { readonly complaint: string } {
    try {
      return readPair(this.#files)
    } catch (error) {
      if (error instanceof FileError) return { complaint: error.message }
      throw error
    }
  }

  /**
   * Puts a pair in place. A crash between the two renames leaves a key without its certificate: submission goes on with
   * what it has in memory, and `recover` puts the certificate beside it at the next start.
   *
   * @param keepOld what is in place is not from us: it is kept beside, as `<file>.replaced`
   */
  writePair(certificate: string, key: string, keepOld: boolean): void {
    const { certificate: certificatePath, key: keyPath } = this.#files
    if (keepOld) {
      for (const path of [certificatePath, keyPath]) {
        if (existsSync(path)) copyFileSync(path, `${path}.replaced`)
      }
    }
    writeBeside(keyPath, key)
    writeBeside(certificatePath, certificate, 0o644)
    putInPlace(keyPath, certificatePath)
  }

  /** Completes what a crash left half-done. True: there was something, and it is whole now. */
  recover(): boolean {
    const { certificate, key } = this.#files
    const left = `${certificate}.new`
    if (!('complaint' in this.readPair()) || !existsSync(left) || !existsSync(key)) return false
    try {
      readPair({ certificate: left, key })
    } catch (error) {
      if (error instanceof FileError) return false
      throw error
    }
    putInPlace(certificate)
    return true
  }

  /** Throws while there is nobody to mind that the folders cannot be written. @throws FileError */
  checkWritable(): void {
    const folders = [this.#folder, dirname(this.#files.certificate), dirname(this.#files.key)]
    for (const folder of new Set(folders)) {
      const probe = join(folder, `.probe-${process.pid}`)
      try {
        mkdirSync(folder, { recursive: true })
        writeFileSync(probe, '')
        rmSync(probe)
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code
        throw new FileError(`${folder}: cannot be written (${code}): the certificate is put there`, { cause })
      }
    }
  }
}

/** A number for the life of a certificate, 0 ≤ x < 1, that differs from one to the next. */
export function jitterOf(fingerprint: string): number {
  return createHash('sha256').update(fingerprint).digest().readUInt32BE(0) / 2 ** 32
}

/** Which of `names` a certificate is not for. */
export function namesMissing(certificate: string, names: readonly string[]): string[] {
  const leaf = new X509Certificate(certificate)
  return names.filter(name => leaf.checkHost(name, { subject: 'never' }) === undefined)
}

/** A private key, PEM. */
export function newKey(type: 'ecdsa-p256' | 'rsa-2048'): string {
  const { privateKey } =
    type === 'rsa-2048'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeWhole(path, text)
}
