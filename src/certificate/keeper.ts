/** Looks at the certificate in place, decides by `schedule` whether another is asked for, and keeps the note of it. */

import { FileError, readPem, readSecret } from '../config/file.ts'
import { type CertificatePair, makePair } from '../config/pair.ts'
import type { Config } from '../config/schema.ts'
import { isInZone } from '../dns/name.ts'
import { parseTsigKey, type TsigKey, TsigKeyError } from '../dns/tsig.ts'
import { Resolver } from '../net/resolver.ts'
import type { Log } from '../observe/event.ts'
import type { DnsDoor } from './challenge-record.ts'
import { issueCertificate, type Outcome } from './issue.ts'
import { isoOf, type Plan, plan, renewalMs, retryMs } from './schedule.ts'
import { jitterOf, type Note, namesMissing, Store } from './store.ts'

export interface KeeperOptions {
  readonly config: Config
  readonly log: Log
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** 0 ≤ x < 1. */
  readonly random?: () => number
}

/** `due`: when it is time. `again`: also in the pause after a failure, but for one the CA asked for. `now`: in any case. */
export type When = 'due' | 'again' | 'now'

export type Look =
  | { readonly kind: 'good' | 'paused' | 'failed'; readonly untilMs: number }
  | { readonly kind: 'issued'; readonly untilMs: number }
  /** The signal: nothing more is to be done. */
  | { readonly kind: 'stopped' }

/** All of it, for `ptt certificate status`. */
export interface Standing {
  readonly names: readonly string[]
  readonly directory: string
  readonly note: Note
  readonly pair: CertificatePair | null
  /** Why the pair in place, or the lack of one, does not do. */
  readonly complaint: string | null
  /** Of the pair in place; milliseconds since 1970. */
  readonly renewalMs: number | null
  readonly plan: Plan
}

type Table = NonNullable<Config['certificate']>

export class Keeper {
  readonly #config: Config
  readonly #table: Table
  readonly #log: Log
  readonly #signal: AbortSignal
  readonly #now: () => number
  readonly #random: () => number
  readonly #store: Store

  /** @throws Error where there is no table [certificate] */
  constructor({ config, log, signal, now = Date.now, random = Math.random }: KeeperOptions) {
    const { certificate } = config
    if (certificate === undefined) {
      throw new Error('ptt.toml has no table [certificate]: write it, docs/certificates.md tells how')
    }
    this.#config = config
    this.#table = certificate
    this.#log = log
    this.#signal = signal
    this.#now = now
    this.#random = random
    this.#store = new Store(certificate.state, config.submission)
  }

  /** What would fail at the first renewal, weeks from now, fails at the start. @throws FileError */
  prepare(): void {
    this.#store.checkWritable()
    this.#tsigKey()
    this.#ca()
    this.#externalAccount()
    this.#store.accountKey(this.#table.directory)
    if (this.#store.recover()) this.#log.event('certificate', { state: 'completed' })
  }

  get #names(): string[] {
    return [...new Set([this.#config.submission.hostname, ...this.#table.names])]
  }

  standing(): Standing {
    const found = this.#store.readPair()
    const note = this.#store.readNote()
    const { directory } = this.#table
    const pair = 'complaint' in found ? null : found
    const complaint = 'complaint' in found ? found.complaint : this.#complaintOf(found, note)
    const jitter = pair === null ? 0 : jitterOf(pair.fingerprint)
    return {
      names: this.#names,
      directory,
      note,
      pair,
      complaint,
      renewalMs: pair === null ? null : renewalMs(pair, jitter),
      plan: plan({
        nowMs: this.#now(),
        certificate: pair === null ? null : { ...pair, complaint },
        retryMs: note.retryMs,
        jitter,
      }),
    }
  }

  #complaintOf(pair: CertificatePair, { issued }: Note): string | null {
    const missing = namesMissing(pair.certificate, this.#names)
    if (missing.length > 0) return `the certificate in place is not for ${missing.join(', ')}`
    if (issued?.fingerprint !== pair.fingerprint) return 'the certificate in place is not from the CA'
    if (issued.directory !== this.#table.directory) {
      return `the certificate in place is from another CA, ${issued.directory}`
    }
    return null
  }

  /** Asks for a certificate if one is wanted. Errors of the disk are thrown, before the CA is asked. */
  async look(when: When = 'due'): Promise<Look> {
    const { plan: planned, note, pair } = this.standing()
    const waits = planned.kind === 'wait'
    const paused = waits && note.retryMs === planned.untilMs
    if (waits && when !== 'now' && !(when === 'again' && paused && note.lastError?.rateLimited !== true)) {
      return { kind: paused ? 'paused' : 'good', untilMs: planned.untilMs }
    }
    const reason = waits ? 'it was told to' : planned.reason
    this.#log.event('certificate', { state: 'wanted', reason, names: this.#names, ca: this.#table.directory })

    // An attempt counts as failed until it is known that it did not: a crash in it must not become a loop of orders.
    const failures = note.failures + 1
    const pauseMs = retryMs(failures, {}, this.#now(), this.#random())
    this.#store.writeNote({ ...note, failures, retryMs: pauseMs })
    const outcome = await this.#issue(note)
    if (this.#signal.aborted && outcome.kind === 'failed') return this.#stopped(note)
    const fault = outcome.kind === 'failed' ? outcome : this.#put(outcome, note, pair)
    if (fault === null) {
      const next = this.standing()
      this.#tellIssued(next)
      return { kind: 'issued', untilMs: next.plan.kind === 'wait' ? next.plan.untilMs : this.#now() }
    }
    return this.#failed(fault, failures, pair)
  }

  async #issue(note: Note): Promise<Outcome> {
    const { directory, contact, termsAgreed, caaIdentities, keyType, resolver: servers } = this.#table
    const resolver = new Resolver({ servers })
    try {
      return await issueCertificate({
        directory,
        accountKey: this.#store.accountKey(directory),
        ca: this.#ca(),
        externalAccount: this.#externalAccount(),
        contact,
        termsAgreed,
        caaIdentities,
        names: this.#names,
        keyType,
        door: this.#door(resolver),
        remember: published => this.#store.writeNote({ ...this.#store.readNote(), published }),
        leftOver: note.published,
        now: this.#now,
        log: this.#log,
      })
    } finally {
      resolver.close()
    }
  }

  /** The pair goes to submission, unless something is wrong with it. */
  #put(
    { certificate, key }: Extract<Outcome, { kind: 'issued' }>,
    { issued }: Note,
    before: CertificatePair | null,
  ): Extract<Outcome, { kind: 'failed' }> | null {
    const { directory } = this.#table
    const called = { certificate: 'what the CA issued', key: 'the new key' }
    const fault = (reason: string) =>
      ({ kind: 'failed', step: 'signature', reason, rateLimited: false }) as const
    let pair: CertificatePair
    try {
      pair = makePair(certificate, key, called)
    } catch (error) {
      if (error instanceof FileError) return fault(error.message)
      throw error
    }
    const missing = namesMissing(certificate, this.#names)
    if (missing.length > 0) return fault(`what the CA issued is not for ${missing.join(', ')}`)
    const nowMs = this.#now()
    const due = plan({ nowMs, certificate: { ...pair, complaint: null }, retryMs: null, jitter: 0 })
    if (due.kind === 'issue' || pair.notBeforeMs > nowMs) {
      const span = `${isoOf(pair.notBeforeMs)} to ${isoOf(pair.notAfterMs)}`
      return fault(
        `what the CA issued is for ${span}, and here it is ${isoOf(nowMs)}: set the clock of this machine`,
      )
    }
    const ours = before !== null && issued?.fingerprint === before.fingerprint
    this.#store.writePair(certificate, key, !ours)
    this.#store.writeNote({
      ...this.#store.readNote(),
      issued: { fingerprint: pair.fingerprint, directory, atMs: nowMs },
      failures: 0,
      retryMs: null,
      lastError: null,
    })
    return null
  }

  #failed(
    { step, reason, rateLimited, retryAfterMs }: Extract<Outcome, { kind: 'failed' }>,
    failures: number,
    pair: CertificatePair | null,
  ): Look {
    const nowMs = this.#now()
    const untilMs = retryMs(failures, { rateLimited, retryAfterMs }, nowMs, this.#random())
    const lastError = { step, reason, rateLimited, atMs: nowMs }
    this.#store.writeNote({ ...this.#store.readNote(), failures, retryMs: untilMs, lastError })
    this.#log.event('alarm', {
      about: 'certificate',
      step,
      reason,
      retry_ms: untilMs - nowMs,
      retry: isoOf(untilMs),
      // What is at stake.
      until: pair === null ? null : isoOf(pair.notAfterMs),
      ...(pair !== null && pair.notAfterMs <= nowMs ? { expired: true } : {}),
    })
    return { kind: 'failed', untilMs }
  }

  /** Stopping is no failure: the next start may try at once. */
  #stopped({ failures, retryMs: pausedMs }: Note): Look {
    this.#store.writeNote({ ...this.#store.readNote(), failures, retryMs: pausedMs })
    return { kind: 'stopped' }
  }

  #tellIssued({ names, pair, renewalMs: atMs }: Standing): void {
    const until = pair === null ? null : isoOf(pair.notAfterMs)
    const renewal = atMs === null ? null : isoOf(atMs)
    this.#log.event('certificate', { state: 'issued', names, until, renewal })
  }

  #door(resolver: Resolver): DnsDoor {
    const { signer } = this.#config
    const { primary, authorities, propagationMs } = this.#table
    return {
      resolver,
      tsigKey: this.#tsigKey(),
      primaryOf: zone => primary ?? (isInZone(zone, signer.zone) ? signer.primary : null),
      authorities,
      propagationMs,
      signal: this.#signal,
    }
  }

  #tsigKey(): TsigKey {
    const path = this.#table.tsigKey ?? this.#config.signer.tsigKey
    const text = readSecret(path)
    try {
      return parseTsigKey(text.trim())
    } catch (error) {
      if (error instanceof TsigKeyError) throw new FileError(`${path}: ${error.message}`)
      throw error
    }
  }

  #externalAccount(): { kid: string; hmacKey: string } | undefined {
    const { eabKid: kid, eabKey: path } = this.#table
    if (kid === undefined || path === undefined) return undefined
    const hmacKey = readSecret(path).trim()
    if (/^[A-Za-z0-9_-]{16,}={0,2}$/.test(hmacKey)) return { kid, hmacKey }
    throw new FileError(`${path}: is not one line of base64url: put the key there as the CA shows it`)
  }

  #ca(): string | undefined {
    return this.#table.ca === undefined ? undefined : readPem(this.#table.ca)
  }
}
