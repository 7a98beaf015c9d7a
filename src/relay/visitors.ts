/**
 * Visits that are made by other processes: connections, TLS and SMTP are theirs, the queue, the sites and all limits are this
 * one's. A site has one visitor, by its name, for as long as that lives: so its open connections are found again, and what is
 * known of its hosts is known to who needs it.
 */

import type { ReplyRule } from '../config/replies.ts'
import type { StoredContent } from '../queue/queue.ts'
import { type Channel, ChannelError } from '../workers/channel.ts'
import type { Visiting } from './attempt.ts'
import type { Source } from './reach/source.ts'
import type { Site } from './site/site.ts'
import type { Outcome } from './tls-report/outcome.ts'
import type { TlsReports } from './tls-report/reports.ts'
import type { Judgement } from './verdicts.ts'
import type { Errand, SiteNotes, Slow } from './visit.ts'

/** What we ask of a visitor. */
export type Told = {
  /** `number` is what it calls the visit when it tells of it. */
  readonly visit: (what: { number: number; errand: Errand; content: Beginning }) => Promise<Judgement[]>
  /** The rules have changed: sites are made anew, and their connections opened anew. */
  readonly renew: (replies: readonly ReplyRule[]) => void
}

/** Of the content what a message begins with, which mostly is all of it; the rest is asked for. */
export type Beginning = Pick<StoredContent, 'sizeOctets' | 'start'>

export type Note =
  | { readonly kind: 'connecting' | 'succeeded' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'slow'; readonly said: Slow }
  | { readonly kind: 'sent'; readonly source: Source; readonly taken: number }

/** What a visitor tells and asks. */
export type Asked = {
  readonly replies: (none: null) => readonly ReplyRule[]
  readonly note: (what: { number: number; note: Note }) => void
  /** Of the content of a visit so many octets, from `at` on. */
  readonly content: (what: { number: number; at: number; octets: number }) => Promise<Uint8Array>
  /** So many connections to a site wait for their next message. */
  readonly links: (what: { site: string; count: number }) => void
  /** For the reports of TLS. */
  readonly tls: (what: { outcome: Outcome; id: string }) => void
}

export type Visitor = Channel<Told, Asked>

export interface VisitorsOptions {
  readonly replies: () => readonly ReplyRule[]
  readonly tlsReports: Pick<TlsReports, 'note'> | null
  readonly now: () => number
}

interface Visited {
  readonly notes: SiteNotes
  readonly content: StoredContent
}

interface Attended {
  readonly visitor: Visitor
  readonly visits: Map<number, Visited>
  /** By name, those that it has connections to, or goes to. */
  readonly sites: Map<string, Site>
}

export class Visitors {
  readonly #options: VisitorsOptions
  readonly #attended: (Attended | null)[] = []
  #waiting: (() => void)[] = []
  #number = 0
  #closing = false

  constructor(options: VisitorsOptions) {
    this.#options = options
  }

  /** One more, or one in the place of one that is gone. */
  attend(visitor: Visitor): void {
    const { replies, tlsReports } = this.#options
    const attended: Attended = { visitor, visits: new Map(), sites: new Map() }
    visitor
      .on('replies', () => {
        this.#add(attended)
        return replies()
      })
      .on('note', ({ number, note }) => tell(note, attended.visits.get(number)?.notes))
      .on('content', ({ number, at, octets }) => read(attended.visits.get(number), at, octets))
      .on('links', ({ site, count }) => {
        const known = attended.sites.get(site)
        if (known !== undefined) known.links.elsewhere = count
        if (count === 0) attended.sites.delete(site)
      })
      .on('tls', ({ outcome, id }) => tlsReports?.note(outcome, { id }))
    visitor.onEnd(() => {
      const at = this.#attended.indexOf(attended)
      if (at >= 0) this.#attended[at] = null
      for (const site of attended.sites.values()) site.links.elsewhere = 0
    })
  }

  readonly visit: Visiting = async (errand, content, site, notes) => {
    const attended = await this.#visitorOf(site.key)
    const number = ++this.#number
    const { sizeOctets, start } = content
    attended.visits.set(number, { notes, content })
    attended.sites.set(site.key, site)
    try {
      return await attended.visitor.ask('visit', { number, errand, content: { sizeOctets, start } })
    } catch (error) {
      if (!(error instanceof ChannelError) || this.#closing) throw error
      // It may have been taken, and may not: as after an end of the whole relay it is sent once more. Not at once, for it may be
      // this message that has ended the process.
      const diagnostic = 'The process that sent it has ended: whether it was taken is not known'
      const evidence = { atMs: this.#options.now(), status: '4.3.0', diagnostic, site: site.key }
      return errand.job.recipients.map(index => ({ index, action: 'deferred', evidence }))
    } finally {
      attended.visits.delete(number)
    }
  }

  renew(): void {
    for (const attended of this.#attended) attended?.visitor.tell('renew', this.#options.replies())
  }

  /** What was begun and does not end is attempted again after the next start. */
  close(): void {
    this.#closing = true
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #add(attended: Attended): void {
    const free = this.#attended.indexOf(null)
    if (free >= 0) this.#attended[free] = attended
    else this.#attended.push(attended)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** While its own is away another goes; while all are, it waits. @throws ChannelError when there will be none any more */
  async #visitorOf(site: string): Promise<Attended> {
    for (;;) {
      const { length } = this.#attended
      const first = hash(site) % Math.max(length, 1)
      for (let at = 0; at < length; at++) {
        const attended = this.#attended[(first + at) % length]
        if (attended) return attended
      }
      if (this.#closing) throw new ChannelError('the relay is stopping')
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }
}

async function read(visited: Visited | undefined, at: number, octets: number): Promise<Uint8Array> {
  if (visited === undefined) throw new Error('the visit is over')
  const piece = Buffer.allocUnsafeSlow(octets)
  await visited.content.read(at, piece)
  return piece
}

function tell(note: Note, notes: SiteNotes | undefined): void {
  switch (note.kind) {
    case 'connecting':
    case 'succeeded':
      notes?.[note.kind]()
      break
    case 'failed':
      notes?.failed(note.reason)
      break
    case 'slow':
      notes?.slow(note.said)
      break
    case 'sent':
      notes?.sent(note.source, note.taken)
      break
    default:
      note satisfies never
  }
}

/** FNV-1a, 32 bits; folded, for of the result only the last bits count, which are the weakest. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return (value ^ (value >>> 15)) >>> 0
}
