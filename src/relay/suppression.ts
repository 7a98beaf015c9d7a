/**
 * Who is not written to: addresses that a peer has said for good do not exist, and those an operator adds (complaints). By
 * the domain of the sender, for another may know better, and for a time, for addresses come back. Kept on the shelf.
 */

import type { Category } from '../config/replies.ts'
import type { Shelf } from '../queue/shelf.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { type Suppressed, suppressionKey } from '../smtp/suppressed.ts'

export interface Suppression extends Suppressed {
  /** The domain of the reverse-path. */
  readonly senderDomain: string
  /** `bad-address`, `inactive`; of those an operator added what he gave, `complaint` for example. */
  readonly category: string
  /** The message whose recipient it was. */
  readonly id: string | null
}

/** Where a recipient is queued who is suppressed, beside others who are not: he is told of as failed. No domain is called like this. */
export const SUPPRESSED = '<suppressed>'

const KIND = 'suppressed/'
const PAGE = 500

export class Suppressions {
  readonly #shelf: Shelf
  readonly #now: () => number

  constructor(shelf: Shelf, now: () => number) {
    this.#shelf = shelf
    this.#now = now
  }

  async find(senderDomain: string, recipient: Mailbox): Promise<Suppression | null> {
    const fact = await this.#shelf.get(keyOf(senderDomain, formatMailbox(recipient)), this.#now())
    return fact === null ? null : fromFact(fact.key, fact.value, fact.untilMs)
  }

  async add({ senderDomain, recipient, untilMs, category, reason, sinceMs, id }: Suppression): Promise<void> {
    await this.#shelf.put(keyOf(senderDomain, recipient), { category, reason, sinceMs, id }, untilMs)
  }

  /** False: there was none. */
  remove(senderDomain: string, recipient: string): Promise<boolean> {
    return this.#shelf.take(keyOf(senderDomain, recipient))
  }

  /** In the order of sender domain and recipient. */
  async *list(senderDomain?: string): AsyncGenerator<Suppression> {
    const prefix = senderDomain === undefined ? KIND : `${KIND}${normalizeDomain(senderDomain)}/`
    let after: string | undefined
    for (;;) {
      const options = { nowMs: this.#now(), limit: PAGE, ...(after === undefined ? {} : { after }) }
      const facts = await this.#shelf.list(prefix, options)
      for (const { key, value, untilMs } of facts) {
        const suppression = fromFact(key, value, untilMs)
        if (suppression !== null) yield suppression
      }
      after = facts.at(-1)?.key
      if (facts.length < PAGE) return
    }
  }
}

/** What a peer says of an address for good. */
export function isOfAddress(category: Category | string | undefined): boolean {
  return category === 'bad-address' || category === 'inactive'
}

function keyOf(senderDomain: string, recipient: string): string {
  return `${KIND}${suppressionKey(senderDomain, recipient)}`
}

function fromFact(key: string, value: unknown, untilMs: number): Suppression | null {
  const [senderDomain, ...recipient] = key.slice(KIND.length).split('/')
  if (senderDomain === undefined || typeof value !== 'object' || value === null) return null
  const { category, reason, sinceMs, id } = value as Record<string, unknown>
  return {
    senderDomain,
    recipient: recipient.join('/'),
    category: typeof category === 'string' ? category : 'other',
    reason: typeof reason === 'string' ? reason : '',
    sinceMs: typeof sinceMs === 'number' ? sinceMs : 0,
    untilMs,
    id: typeof id === 'string' ? id : null,
  }
}
