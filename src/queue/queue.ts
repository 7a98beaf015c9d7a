/**
 * The queue: the one place where a message rests (design decision 1). This file is what every engine promises;
 * `contract.ts` is the same promise as a suite that each engine runs.
 *
 * - When `put` resolves, the message survives a power cut; when it rejects, nothing of it is kept. The `250` to
 *   the client hangs on it.
 * - An id that was put in the last `retainIdsMs` is answered `duplicate` and not queued twice, also when its message
 *   has long been delivered: the upstream repeats when only our acknowledgement was lost.
 * - The unit of work is the `Job`: recipients of one message that share a destination and are due, at most
 *   `RECIPIENTS_PER_JOB`. A job is leased to one worker at a time; leases live in memory only, so a crash gives all of them
 *   back and at worst a delivery in flight at that moment is made again.
 * - Messages of one destination take turns: after a job of a message that is cut into several, another message that is due
 *   there goes first, so that nobody waits for the ten thousand recipients of somebody else.
 * - `settle` is durable when it resolves. A message whose recipients are all final is removed with its content; its story
 *   is kept for some time.
 * - Deferred work stays on disk in the order it is due. Memory holds what is leased, and the name of each destination that
 *   is parked, never the whole queue. A `lease` costs what it returns and what it asks about.
 * - What is held (`Hold`) stays in the queue and is not leased.
 * - Another process (`ptt queue …`) may list, retry, hold, lift, remove and put what it brings while the relay runs; what it
 *   changed is seen by the next `lease` and `nextDue`. A `settle` for a message that was removed meanwhile does nothing.
 *
 * One process leases and sweeps. Its memory has the leases: a second relay on the same spool would deliver twice.
 */

import type { Envelope, EnvelopeRecipient } from '../smtp/envelope.ts'
import type { Mailbox, ReversePath } from '../smtp/path.ts'

export interface Queue {
  /**
   * Every recipient is due at `dueMs`, or at once, at `arrivedMs`.
   * @throws QueueError `full` (no space), `io` (any other write error): answer 451, keep nothing.
   */
  put(message: NewMessage, content: Content): Promise<'queued' | 'duplicate'>
  /**
   * Up to `limit` jobs due at `nowMs` and not leased: those of the highest priority first (RFC 6710 §5.1), of equal ones
   * the most overdue, but for the turns that messages of one destination take. `skip` is asked before each job is taken, so
   * it may count; a destination for which it returns true is passed over for the rest of this call and stays due. One for
   * which it returns `park` is not asked about again, nor told of by `nextDue`, until it is unparked: so one that has no
   * room costs nothing, however much waits for it. What is parked is known in memory only.
   */
  lease(nowMs: number, limit: number, skip?: (destination: string) => Skip): Promise<Job[]>
  /** Ends what `park` began, for one destination or for all. */
  unpark(destination?: string): void
  /**
   * The outcome of the leased job, one result per recipient of it; gives the lease back. A result for a recipient that
   * is final already changes nothing. When it rejects the lease stays, for a delivery whose outcome could not be written
   * must not be made again at once: settle once more, or `release` in the end. With `keep` the lease stays in any case: the
   * results are of some of its recipients, and those of the others follow.
   */
  settle(job: Job, results: readonly RecipientResult[], lease?: 'keep'): Promise<void>
  /** Gives a lease back with nothing changed (the relay is shutting down). */
  release(job: Job): void
  /** When the next job that is not leased, parked or held becomes due, in ms since 1970; `null` when there is none. */
  nextDue(): Promise<number | null>
  /**
   * The content of a queued message: as it was put, octet for octet.
   * @throws QueueError `gone` when there is no such message (it was removed meanwhile), `io` when it cannot be read.
   */
  content(id: string): Promise<Uint8Array>
  /** The same, to be read while it is sent: of a large one memory holds a part only. To be closed in the end. */
  openContent(id: string): Promise<StoredContent>
  get(id: string): Promise<Message | null>
  /** The jobs of a message that are due at `nowMs`, leased or not; none of one that is held, or gone. */
  dueJobs(id: string, nowMs: number): Promise<DueJob[]>
  /** In order of id (ids sort by time), after `after`; with a `filter` those that match. */
  list(options: { after?: string; limit: number; filter?: Filter }): Promise<Message[]>
  /**
   * A step of a search: looks at some thousands of messages in order of id, after `after`, and returns those that match, at
   * most `limit`, and where to go on; `null`: there are no more. So nobody waits until a long queue was looked through.
   */
  search(options: { after?: string; limit: number; filter: Filter }): Promise<Found>
  /** What is known of a message that is queued, or was not long ago; `null`: nothing. */
  story(id: string): Promise<Story | null>
  /** Makes every pending recipient due at `nowMs`; what is overdue keeps its place. False: no such message. */
  retry(id: string, nowMs: number): Promise<boolean>
  /** Removes the message without a notice to anybody. False: no such message. `nowMs` is for its story. */
  remove(id: string, nowMs?: number): Promise<boolean>
  /** Holds all that its scope names, also what comes later. One with the same scope takes the place of the one before. */
  hold(hold: Hold): Promise<void>
  /** Ends a hold before its time: what it held is due as it was before. False: there is none of that scope. */
  lift(scope: Scope): Promise<boolean>
  /** By what they name. One that is over may be among them for a while. */
  holds(): Promise<Hold[]>
  count(): Promise<number>
  /**
   * Forgets ids that arrived before `nowMs - retainIdsMs` and stories that ended before `nowMs - retainStoriesMs`, and
   * removes content files no message owns.
   */
  sweep(nowMs: number): Promise<void>
  close(): Promise<void>
}

/** RFC 5321 §4.5.3.1.8: what every server takes in one transaction. */
export const RECIPIENTS_PER_JOB = 100

export type Skip = boolean | 'park'

/**
 * What a hold is for: a message, by id; a sender, as `alice@example.com`, all of a domain as `@example.com`, or `<>`; a
 * destination, or all of a domain (`one.example@pool` is of `one.example`); a site. What belongs to a site only the scheduler knows: it asks for `holds` and parks what belongs there.
 */
export interface Scope {
  readonly kind: 'message' | 'sender' | 'destination' | 'site'
  /** In lower case, but for the id of a message. */
  readonly name: string
}

export interface Hold extends Scope {
  /** In words, for who asks why nothing is sent. */
  readonly reason: string
  readonly sinceMs: number
  /** It is over by itself then; `null`: when somebody lifts it. */
  readonly untilMs: number | null
}

/** All that is given must match. Addresses and domains are in lower case, and are compared without regard to case. */
export interface Filter {
  /** As in `Scope`. */
  readonly sender?: string
  /** Some recipient is pending who is this: `bob@example.com`, or `@example.com` for all of a domain. */
  readonly recipient?: string
  /** Some recipient is pending who goes there: to a destination, or to any of a domain. */
  readonly destination?: string
  /** Arrived at that time or later. */
  readonly fromMs?: number
  /** Arrived before that time. */
  readonly beforeMs?: number
}

export interface Found {
  readonly messages: readonly Message[]
  readonly after: string | null
}

/** The message as octets, in pieces; engines may keep references until `put` settles. */
export type Content = readonly Uint8Array[]

/** The content of a queued message, which may be removed meanwhile: what is open can be read to its end. */
export interface StoredContent {
  readonly sizeOctets: number
  /** How it begins: with all of the header section, and all of it up to `WHOLE_OCTETS`. */
  readonly start: Uint8Array
  /** Fills `target` with the octets from `at` on; `at + target.length` is at most `sizeOctets`. @throws QueueError `io` */
  read(at: number, target: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** Up to here content is read at once. */
export const WHOLE_OCTETS = 256 * 1024

export interface NewMessage {
  /** Sortable by time: see `message/id.ts`. At most 64 letters, digits, `-` and `_`: it may become a file name. */
  readonly id: string
  readonly envelope: Envelope
  readonly arrivedMs: number
  /** When the first attempt is due (RFC 4865: the message is held until then); `arrivedMs` when not given. */
  readonly dueMs?: number
  readonly expiresMs: number
  /**
   * At least one. `destination` groups recipients into jobs: a domain in lower case, or what the relay makes of it; 1 to
   * 512 characters, no NUL.
   */
  readonly recipients: readonly NewRecipient[]
}

export interface NewRecipient extends Pick<EnvelopeRecipient, 'notify' | 'originalRecipient'> {
  readonly mailbox: Mailbox
  readonly destination: string
  /** Of one that was in another queue before (`ptt queue import`): what came of it there, and when it is due. */
  readonly attempts?: number
  readonly dueMs?: number
  readonly delayToldMs?: number
  readonly last?: Evidence
}

export interface Message {
  readonly id: string
  readonly reversePath: ReversePath
  readonly envelope: Omit<Envelope, 'recipients' | 'reversePath'>
  readonly arrivedMs: number
  readonly expiresMs: number
  readonly sizeOctets: number
  readonly recipients: readonly Recipient[]
  /** The hold of a message or sender by which all of it was taken out of the line, when it was due. */
  readonly held?: Scope
}

export interface Recipient extends NewRecipient {
  /** `pending` until an RFC 3464 §2.3.3 action is final. */
  readonly state: 'pending' | 'delivered' | 'failed' | 'expanded'
  readonly attempts: number
  /** ms since 1970; meaningful while pending. */
  readonly dueMs: number
  /** When the sender was last told of the delay (RFC 3461 §5.2.5). */
  readonly delayToldMs?: number
  /** What the last attempt was told, for `ptt queue show` and for the DSN. */
  readonly last?: Evidence
}

/** Why a recipient is as it is, in words an operator can act on. */
export interface Evidence {
  readonly atMs: number
  /** Enhanced status code, RFC 3463. */
  readonly status: string
  /** The remote MTA's reply or our own reason, one line. */
  readonly diagnostic: string
  /** `host [address]` of the remote MTA when one answered. */
  readonly remote?: string
  /** How the connection was protected and what was verified; `none` is clear text. */
  readonly tls?: string
  /** Who wanted it so, and why: of DANE, MTA-STS, REQUIRETLS, the operator; none where it was taken as it was offered. */
  readonly policy?: string
  /** The site that the host belongs to, as the scheduler names it. */
  readonly site?: string
  /** What the reply was about: `bad-address`, `rate-limited` … */
  readonly category?: string
  /** The source that it was sent from, where there are several. */
  readonly source?: string
}

/** What came of one attempt, for all of the recipients who were told the same. */
export interface Attempt extends Evidence {
  readonly action: RecipientResult['action']
  readonly destination: string
  /** Indices into the message's recipients. */
  readonly recipients: readonly number[]
  /** It came to the same so often in a row: the first time at `sinceMs`, the last time at `atMs`. */
  readonly times: number
  readonly sinceMs: number
}

/** All there is to say of a message, for `ptt queue why`. */
export interface Story {
  /** As it is, or as it was when it ended; then only the first `STORY_RECIPIENTS` of its recipients. */
  readonly message: Message
  /** By time. Where there are many: the first ones and the last ones. */
  readonly attempts: readonly Attempt[]
  /** `null`: it is queued. */
  readonly ended: {
    readonly atMs: number
    readonly how: 'settled' | 'removed'
    /** How many there were. */
    readonly recipients: number
  } | null
}

export const STORY_RECIPIENTS = 100

export interface Job {
  /** Of its recipients only those of this job are there, each at its index; the other places of the array are empty. */
  readonly message: Message
  readonly destination: string
  /** Indices into `message.recipients`: the ones that are due. */
  readonly recipients: readonly number[]
  /** Which part of the message's recipients at this destination it is of, where they were cut into several; from 1. */
  readonly part?: number
}

export type DueJob = Pick<Job, 'destination' | 'part'>

export type RecipientResult =
  | {
      readonly index: number
      readonly action: 'delivered' | 'failed' | 'expanded'
      readonly evidence: Evidence
    }
  | {
      readonly index: number
      readonly action: 'deferred'
      readonly dueMs: number
      /** The sender was told of the delay. */
      readonly delayToldMs?: number
      readonly evidence: Evidence
    }

/** `gone`: no such message, or no longer. The other three are about the spool. */
export type QueueErrorCode = 'full' | 'io' | 'closed' | 'gone'

export class QueueError extends Error {
  readonly code: QueueErrorCode
  constructor(code: QueueErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'QueueError'
    this.code = code
  }
}
