/**
 * A certificate and its key that may change while they are in use. They are two files, so there is a moment when one is new
 * and the other is not: what does not fit together, cannot be read or has expired is never handed on. Whoever uses a pair
 * keeps the one it has, and is told why.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { FileError, readPem, readSecret } from './file.ts'

/** PEM, and what the first certificate says. */
export interface CertificatePair {
  /** The chain, the server's own first. */
  readonly certificate: string
  readonly key: string
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** SHA-256 of the first certificate, as OpenSSL writes it. */
  readonly fingerprint: string
}

export interface PairFiles {
  readonly certificate: string
  readonly key: string
}

/** @throws FileError when one cannot be read, is no PEM, or they do not fit together */
export function readPair(files: PairFiles): CertificatePair {
  const key = readSecret(files.key)
  return makePair(readPem(files.certificate), key, files)
}

/**
 * @param files what the texts are called in errors
 * @throws FileError when one is not what it should be, or they do not fit together
 */
export function makePair(certificate: string, key: string, files: PairFiles): CertificatePair {
  let leaf: X509Certificate
  try {
    leaf = new X509Certificate(certificate)
  } catch (cause) {
    throw new FileError(`${files.certificate}: holds no certificate that can be read`, { cause })
  }
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(key)
  } catch {
    // The cause is left out: what OpenSSL says is about the octets of the key.
    throw new FileError(`${files.key}: is not a private key in PEM without a passphrase`)
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new FileError(`${files.key}: is not the key of the certificate ${files.certificate}`)
  }
  return {
    certificate,
    key,
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
    fingerprint: leaf.fingerprint256,
  }
}

export interface WatchOptions {
  readonly files: PairFiles
  /** A new pair that is good. When it throws, the pair counts as broken. */
  readonly renewed: (pair: CertificatePair) => void
  /** Once for each thing that is wrong: a new pair that is not used, or the one in use that ends soon. */
  readonly alarm: (reason: string, pair: CertificatePair) => void
  readonly intervalMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const INTERVAL_MS = 2000
const DAY_MS = 86_400_000
/** A certificate that renews itself has been renewed long before. */
const SOON_MS = 7 * DAY_MS

/** Looks at two files every few seconds. By their status, not by events of the file system: those are lost over NFS and with a folder that is replaced. */
export class PairWatch {
  readonly #options: WatchOptions
  readonly #now: () => number
  #pair: CertificatePair
  #seen: string
  /** What the alarm was raised for: raised again only for something else. */
  #problem: string | null = null
  #warned: string | null = null
  /** What was found broken once may be half-written: it is called broken when it is so at two looks. */
  #suspect: string | null = null
  #timer: NodeJS.Timeout | undefined

  /** @throws FileError */
  constructor(options: WatchOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#seen = statusOf(options.files)
    this.#pair = readPair(options.files)
    this.#warn()
    this.#timer = setInterval(() => this.look(), options.intervalMs ?? INTERVAL_MS).unref()
  }

  /** The pair in use. */
  get pair(): CertificatePair {
    return this.#pair
  }

  /** Looks now, once. A pair that is broken is complained of at the second look that finds it so. */
  look(): void {
    const status = statusOf(this.#options.files)
    if (status !== this.#seen) {
      try {
        this.#take()
        this.#seen = status
        this.#suspect = null
        this.#problem = null
      } catch (error) {
        const { message } = error as Error
        if (this.#suspect === status && this.#problem !== message) {
          this.#problem = message
          this.#options.alarm(`${message}: the certificate in use stays in use`, this.#pair)
        }
        this.#suspect = status
      }
    }
    this.#warn()
  }

  /** Reads it again whatever the files look like, on behalf of an operator. @throws FileError */
  reload(): void {
    const status = statusOf(this.#options.files)
    this.#take()
    this.#seen = status
    this.#suspect = null
    this.#problem = null
    this.#warn()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #take(): void {
    const pair = readPair(this.#options.files)
    const nowMs = this.#now()
    if (pair.notAfterMs <= nowMs && this.#pair.notAfterMs > pair.notAfterMs) {
      throw new FileError(`${this.#options.files.certificate}: expired on ${dayOf(pair.notAfterMs)}`)
    }
    if (pair.certificate === this.#pair.certificate && pair.key === this.#pair.key) return
    this.#options.renewed(pair)
    this.#pair = pair
    this.#warned = null
  }

  /** Once when seven days are left, once a day from the end on. */
  #warn(): void {
    const { notAfterMs } = this.#pair
    const nowMs = this.#now()
    const leftMs = notAfterMs - nowMs
    if (leftMs > SOON_MS) return
    const about = leftMs > 0 ? 'soon' : `expired ${Math.floor(-leftMs / DAY_MS)}`
    if (this.#warned === about) return
    this.#warned = about
    const { certificate } = this.#options.files
    const what = leftMs > 0 ? 'expires' : 'expired'
    const effect = leftMs > 0 ? '' : ', and mail programs refuse it'
    this.#options.alarm(
      `${certificate}: ${what} on ${dayOf(notAfterMs)}${effect}: put a new one there`,
      this.#pair,
    )
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** Changes with whatever happens to one of the two: written, replaced, its mode changed, gone. */
function statusOf({ certificate, key }: PairFiles): string {
  return [certificate, key]
    .map(path => {
      try {
        const { ino, mode, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
        return `${ino} ${mode} ${size} ${mtimeNs} ${ctimeNs}`
      } catch (error) {
        return String((error as NodeJS.ErrnoException).code)
      }
    })
    .join('; ')
}
