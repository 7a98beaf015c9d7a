/**
 * The queue: the one place where a message rests (design decision 1). This file is what every engine promises;
 * `contract.ts` is the same promise as a suite that each engine runs.
 *
 * - When `put` resolves, the message survives a power cut; when it rejects, nothing of it is kept. The `250` to
 *   the client hangs on it.
 * - An id that was put in the last `retainIdsMs` is answered `duplicate` and not queued twice, also when its message
 *   has long been delivered: the upstream repeats when only our acknowledgement was lost.
 * - The unit of work is the `Job`: the recipients of one message that share a destination and are due. A job is leased
 *   to one worker at a time; leases live in memory only, so a crash gives all of them back and at worst a delivery in
 *   flight at that moment is made again.
 * - `settle` is durable when it resolves. A message whose recipients are all final is removed with its content.
 * - Deferred work stays on disk in the order it is due. Memory holds what is leased, never the whole queue.
 * - Another process (`ptt queue …`) may list, retry and remove while the relay runs; what it changed is seen by the next
 *   `lease` and `nextDue`. A `settle` for a message that was removed meanwhile does nothing.
 *
 * One process puts, leases and sweeps. Its memory has the leases: a second relay on the same spool would deliver twice.
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
   * the most overdue. `skip` is asked before each job is taken, so it may count; a destination for which it returns true
   * is passed over for the rest of this call and stays due.
   */
  lease(nowMs: number, limit: number, skip?: (destination: string) => boolean): Promise<Job[]>
  /**
   * The outcome of the leased job, one result per recipient of it; gives the lease back. A result for a recipient that
   * is final already changes nothing. When it rejects the lease stays, for a delivery whose outcome could not be written
   * must not be made again at once: settle once more, or `release` in the end.
   */
  settle(job: Job, results: readonly RecipientResult[]): Promise<void>
  /** Gives a lease back with nothing changed (the relay is shutting down). */
  release(job: Job): void
  /** When the next job that is not leased becomes due, in ms since 1970; `null` when there is none. */
  nextDue(): Promise<number | null>
  /**
   * The content of a queued message: as it was put, octet for octet.
   * @throws QueueError `gone` when there is no such message (it was removed meanwhile), `io` when it cannot be read.
   */
  content(id: string): Promise<Uint8Array>
  get(id: string): Promise<Message | null>
  /** In order of id (ids sort by time), after `after`. */
  list(options: { after?: string; limit: number }): Promise<Message[]>
  /** Makes every pending recipient due at `nowMs`; what is overdue keeps its place. False: no such message. */
  retry(id: string, nowMs: number): Promise<boolean>
  /** Removes the message without a notice to anybody. False: no such message. */
  remove(id: string): Promise<boolean>
  count(): Promise<number>
  /** Forgets ids that arrived before `nowMs - retainIdsMs`, and removes content files no message owns. */
  sweep(nowMs: number): Promise<void>
  close(): Promise<void>
}

/** The message as octets, in pieces; engines may keep references until `put` settles. */
export type Content = readonly Uint8Array[]

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
}

export interface Message {
  readonly id: string
  readonly reversePath: ReversePath
  readonly envelope: Omit<Envelope, 'recipients' | 'reversePath'>
  readonly arrivedMs: number
  readonly expiresMs: number
  readonly sizeOctets: number
  readonly recipients: readonly Recipient[]
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
}

export interface Job {
  readonly message: Message
  readonly destination: string
  /** Indices into `message.recipients`: the ones that are due. */
  readonly recipients: readonly number[]
}

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
