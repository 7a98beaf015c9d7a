/**
 * TLS reporting as the relay has it: what came of its sessions is noted, written down, and reported to the domains that ask
 * for it (RFC 8460). It speaks of no message and of no user.
 */

import { inAscii } from '../../message/dsn-part.ts'
import { formatMailbox, parseMailbox } from '../../smtp/path.ts'
import { Collection } from './collection.ts'
import { isReport } from './mail.ts'
import type { Outcome } from './outcome.ts'
import type { Submitter } from './report.ts'
import { ReportSender, type SenderOptions } from './sender.ts'

export interface TlsReportsOptions extends Omit<SenderOptions, 'submitter' | 'postmaster'> {
  /** Ours: of the organization, of its postmaster, and of this host. */
  readonly domain: string
  readonly postmaster: string
  readonly hostname: string
}

const FLUSH_MS = 5_000
const LOOK_MS = 60_000

export function submitterOf({
  domain,
  postmaster,
  hostname,
}: Pick<TlsReportsOptions, 'domain' | 'postmaster' | 'hostname'>): Submitter {
  const contact = formatMailbox(inAscii(parseMailbox(postmaster, { utf8: true })))
  return { organization: domain, contact, hostname }
}

export class TlsReports {
  readonly #collection: Collection
  readonly #sender: ReportSender
  #timers: NodeJS.Timeout[] = []
  #looking: Promise<void> | null = null

  constructor({ domain, postmaster: address, hostname, ...rest }: TlsReportsOptions) {
    const postmaster = parseMailbox(address, { utf8: true })
    const submitter = submitterOf({ domain, postmaster: address, hostname })
    this.#collection = new Collection(rest)
    this.#sender = new ReportSender({ ...rest, submitter, postmaster }, this.#collection)
  }

  /**
   * One session. Costs nothing but memory.
   * @param message that it was for: the delivery of a report is in no report (RFC 8460 §3)
   */
  note(outcome: Outcome, message: { readonly id: string }): void {
    if (!isReport(message)) this.#collection.note(outcome)
  }

  start(): void {
    this.#timers = [
      setInterval(() => void this.#collection.flush(), FLUSH_MS),
      setInterval(() => void this.look(), LOOK_MS),
    ]
    void this.look()
  }

  /** Sends the reports that are due. One look at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#collection
      .flush()
      .then(() => this.#sender.tick())
      .finally(() => {
        this.#looking = null
      })
    return this.#looking
  }

  /** What was noted is on the shelf when it resolves. Before the shelf and the queue are closed. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#sender.close()
    await this.#looking
    await this.#collection.flush()
  }
}
