/** What a session has had of what is limited: RFC 5321 §4.5.3.1.8, RFC 9422 §4. Commands count, those refused too. */

import type { Verb } from './command.ts'
import { normalizeDomain } from './domain.ts'
import { SmtpError } from './error.ts'
import type { Limits } from './limits.ts'
import type { ForwardPath } from './path.ts'

export class Tally {
  readonly #limits: Limits
  #transactions = 0
  /** RCPT commands of the transaction. */
  #recipients = 0
  readonly #domains = new Set<string>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** A command, as it comes. @throws SmtpError 421 4.3.2 for a MAIL too many. */
  count(verb: Verb): void {
    if (verb === 'RCPT') this.#recipients++
    if (verb === 'MAIL' && ++this.#transactions > this.#limits.transactions) throw TOO_MANY_TRANSACTIONS
  }

  /** MAIL was accepted. */
  begin(): void {
    this.#recipients = 0
  }

  /** The RCPT that was counted last. @throws SmtpError 452 4.5.3 when it is one too many. */
  admit({ domain }: ForwardPath): void {
    const { recipients, recipientDomains } = this.#limits
    if (this.#recipients > recipients) throw TOO_MANY_RECIPIENTS
    if (recipientDomains === Number.POSITIVE_INFINITY) return
    const name = normalizeDomain(domain)
    if (!this.#domains.has(name) && this.#domains.size >= recipientDomains) throw TOO_MANY_DOMAINS
    this.#domains.add(name)
  }
}

// RFC 5321 §4.5.3.1.10
const TOO_MANY_RECIPIENTS = new SmtpError(452, '4.5.3', 'Too many recipients')
// RFC 9422 §4.3
const TOO_MANY_DOMAINS = new SmtpError(452, '4.5.3', 'Recipients of too many domains in one session')
// RFC 9422 §4.1
const TOO_MANY_TRANSACTIONS = new SmtpError(421, '4.3.2', 'Enough messages for one session, connect again')
