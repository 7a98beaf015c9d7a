/**
 * NAME        certificate: gets the certificate of submission from a CA, and a new one in time.
 * STANDARDS   RFC 8555 (ACME, DNS-01), RFC 8659 and 8657 (CAA), RFC 2136 and 8945 (UPDATE, TSIG).
 * HOLDS       the ACME account key, a TSIG key, submission's TLS key, which it makes.
 * REACHES     the CA (HTTPS); the primary DNS server; resolvers and authoritative servers, for checks. It listens to nothing.
 * NEVER       mail, users, the DKIM key.
 * BUGS        no renewal information (RFC 9773): what a CA revokes early is renewed when the operator says so.
 */

import { FileError } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../observe/event.ts'
import { Keeper, type When } from './keeper.ts'
import { isoOf } from './schedule.ts'

/** The files and the clock are looked at this often: somebody may have changed either. */
const LOOK_MS = 3_600_000
/** After an error of the disk, before the CA was asked. */
const DISK_MS = 60_000

export interface CertificateService {
  /** SIGHUP: looks now, also where a pause after a failure is not over. */
  reload(): Promise<void>
  /** Gives up what is under way, and takes its records out of the DNS. */
  close(): Promise<void>
}

/** Resolves when there is a certificate, or the first attempt to get one is over. @throws FileError */
export async function startCertificate(config: Config, log: Log): Promise<CertificateService> {
  const closing = new AbortController()
  const keeper = new Keeper({ config, log, signal: closing.signal })
  keeper.prepare()
  const service = new Loop(keeper, log, closing)
  const { pair, plan, directory } = keeper.standing()
  const until = pair === null ? null : isoOf(pair.notAfterMs)
  const next = plan.kind === 'wait' ? isoOf(plan.untilMs) : 'now'
  log.event('started', { ca: directory, until, next })
  const first = service.look('due')
  // Submission cannot start without any certificate, and can with one that is to be replaced.
  if (pair === null) await first
  return service
}

class Loop implements CertificateService {
  readonly #keeper: Keeper
  readonly #log: Log
  readonly #closing: AbortController
  #running: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(keeper: Keeper, log: Log, closing: AbortController) {
    this.#keeper = keeper
    this.#log = log
    this.#closing = closing
  }

  /** One look after the other; each sets the time of the next. */
  look(when: When): Promise<void> {
    this.#running = this.#running.then(async () => {
      clearTimeout(this.#timer)
      if (this.#closing.signal.aborted) return
      const waitMs = await this.#waitAfterLook(when)
      if (this.#closing.signal.aborted) return
      this.#timer = setTimeout(() => void this.look('due'), waitMs)
    })
    return this.#running
  }

  async #waitAfterLook(when: When): Promise<number> {
    try {
      const look = await this.#keeper.look(when)
      return look.kind === 'stopped' ? LOOK_MS : Math.min(Math.max(look.untilMs - Date.now(), 0), LOOK_MS)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      // A full disk is not our fault, and may be over soon; all else is.
      if (code === undefined && !(error instanceof FileError)) throw error
      this.#log.event('alarm', { about: 'certificate', reason: message, retry_ms: DISK_MS })
      return DISK_MS
    }
  }

  async reload(): Promise<void> {
    await this.look('again')
    this.#log.event('reloaded')
  }

  async close(): Promise<void> {
    this.#log.event('stopping')
    this.#closing.abort()
    clearTimeout(this.#timer)
    await this.#running
    this.#log.event('stopped')
  }
}
