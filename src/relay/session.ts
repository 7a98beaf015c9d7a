/** The signer at the relay's door. Here responsibility passes: a 250 says that the message is on disk. */

import type { Directory } from '../directory/directory.ts'
import { isEightBit } from '../message/eight-bit.ts'
import { mintId } from '../message/id.ts'
import { admit } from '../net/hop.ts'
import type { Client, SessionHandler } from '../net/listener.ts'
import { type Budget, MessageBuffer } from '../net/message-buffer.ts'
import type { Log } from '../observe/event.ts'
import { type NewMessage, type NewRecipient, type Queue, QueueError } from '../queue/queue.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import type { EnvelopeRecipient, Xptt } from '../smtp/envelope.ts'
import type { MailParameters, RcptParameters } from '../smtp/parameter.ts'
import { formatPath, type ReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { EXPANDED, type Expansion, expand } from './expand.ts'
import { releasedMs } from './times.ts'

export interface Surroundings {
  readonly queue: Queue
  /** The commit in force: where our own mailboxes lead. */
  readonly directory: () => Directory
  readonly budget: Budget
  readonly expireMs: number
  readonly now: () => number
  readonly random: (octets: number) => Uint8Array
  /** Something was queued. */
  readonly wake: () => void
  readonly log: Log
}

export class RelaySession implements SessionHandler {
  readonly #around: Surroundings
  readonly #content: MessageBuffer
  #reversePath: ReversePath = null
  #parameters: MailParameters | null = null
  /** When MAIL came: from then on a hold and a deliver-by-time count (RFC 4865 §4.2, RFC 2852 §4). */
  #arrivedMs = 0
  #recipients: EnvelopeRecipient[] = []

  constructor(around: Surroundings) {
    this.#around = around
    this.#content = new MessageBuffer(around.budget)
  }

  secured(client: Client): Reply | null {
    const role = admit(client, ['signer'])
    return typeof role === 'string' ? null : role
  }

  mail(reversePath: ReversePath, parameters: MailParameters): Reply {
    this.#reversePath = reversePath
    this.#parameters = parameters
    this.#arrivedMs = this.#around.now()
    return reply(250, '2.1.0', 'Sender accepted')
  }

  rcpt(recipient: EnvelopeRecipient, _parameters: RcptParameters): Reply {
    this.#recipients.push(recipient)
    return reply(250, '2.1.5', 'Recipient accepted')
  }

  content(octets: Uint8Array): void {
    this.#content.add(octets)
  }

  async message(): Promise<Reply> {
    const parameters = this.#parameters
    if (parameters === null) return reply(503, '5.5.1', 'No transaction')
    const { now, random } = this.#around
    const xptt = parameters.xptt ?? { id: mintId(now(), random(10)) }
    return this.#keep(xptt, parameters).finally(() => this.reset())
  }

  reset(): void {
    this.#parameters = null
    this.#recipients = []
    this.#content.clear()
  }

  /** A crash before `put` resolves: nobody was told 250, the client sends again. After: the queue goes on with it. */
  async #keep(xptt: Xptt, parameters: MailParameters): Promise<Reply> {
    const { queue, now, expireMs, log, wake } = this.#around
    const { id } = xptt
    if (this.#content.overflowed) return reply(452, '4.3.1', 'Too many messages in flight, try again later')
    const startedMs = now()
    const arrivedMs = this.#arrivedMs
    const dueMs = releasedMs({ arrivedMs, envelope: parameters })
    const directory = this.#around.directory()
    const expansion = expand(this.#recipients, directory)
    const message: NewMessage = {
      id,
      envelope: {
        ...parameters,
        // What a client declares, or a service that passes a message on before it has seen all of it, may not be so.
        body: isEightBit(this.#content.pieces) ? '8BITMIME' : '7BIT',
        reversePath: this.#reversePath,
        recipients: expansion.recipients,
        xptt,
      },
      arrivedMs,
      dueMs,
      expiresMs: dueMs + expireMs,
      recipients: queuedOf(expansion, this.#reversePath),
    }
    try {
      const outcome = await queue.put(message, this.#content.pieces)
      log.event(outcome, {
        id,
        user: parameters.authenticatedAs,
        commit: xptt.commit,
        reverse_path: formatPath(this.#reversePath),
        recipients: expansion.recipients.length,
        size: this.#content.sizeOctets,
        held_until: dueMs > startedMs ? new Date(dueMs).toISOString() : undefined,
        ms: now() - startedMs,
      })
      if (outcome === 'queued') {
        for (const alias of expansion.aliases)
          log.event('expanded', { id, ...alias, commit: directory.commit })
        wake()
      }
      return reply(250, '2.0.0', `Queued as ${id}`)
    } catch (error) {
      if (!(error instanceof QueueError)) throw error
      log.event('alarm', { id, about: 'spool', code: error.code, error: error.message }, 'error')
      const text =
        error.code === 'full'
          ? 'No space in the spool, try again later'
          : 'The spool cannot be written, try again later'
      return reply(451, error.code === 'full' ? '4.3.1' : '4.3.0', text)
    }
  }
}

/** Nobody is told of what becomes of a message from the null reverse-path (RFC 3461 §5.2). */
function queuedOf({ recipients, expanded }: Expansion, reversePath: ReversePath): NewRecipient[] {
  const queue = ({ forwardPath: mailbox, ...wishes }: EnvelopeRecipient, destination: string) => ({
    ...wishes,
    mailbox,
    destination,
  })
  return [
    ...recipients.map(recipient => queue(recipient, normalizeDomain(recipient.forwardPath.domain))),
    ...(reversePath === null ? [] : expanded.map(recipient => queue(recipient, EXPANDED))),
  ]
}
