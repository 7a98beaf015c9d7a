/** The signer at the relay's door. Here responsibility passes: a 250 says that the message is on disk. */

import type { RouteRule } from '../config/routes.ts'
import type { Directory } from '../directory/directory.ts'
import { isEightBit } from '../message/eight-bit.ts'
import { mintId } from '../message/id.ts'
import { type HopMessage, HopSession } from '../net/hop-session.ts'
import type { Budget } from '../net/message-buffer.ts'
import type { Log } from '../observe/event.ts'
import { type NewMessage, type Queue, QueueError } from '../queue/queue.ts'
import { formatPath } from '../smtp/path.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import { tellSuppressed } from '../smtp/suppressed.ts'
import { address } from './address.ts'
import { expand } from './expand.ts'
import type { Sources } from './sources.ts'
import type { Suppressions } from './suppression.ts'
import { releasedMs } from './times.ts'
import { isReport, REPORT_EXPIRE_MS } from './tls-report/mail.ts'

export interface Surroundings {
  readonly queue: Queue
  /** The commit in force: where our own mailboxes lead. */
  readonly directory: () => Directory
  readonly budget: Budget
  readonly expireMs: number
  readonly sources: Pick<Sources, 'poolFor'>
  readonly suppressions: Pick<Suppressions, 'find'>
  /** Smart hosts, by the rules in force. */
  readonly routes: () => readonly RouteRule[]
  readonly now: () => number
  readonly random: (octets: number) => Uint8Array
  /** Something was queued. */
  readonly wake: () => void
  readonly log: Log
}

export class RelaySession extends HopSession {
  readonly #around: Surroundings

  constructor(around: Surroundings) {
    const { budget, now, random } = around
    super({ roles: ['signer'], budget, now, mint: () => mintId(now(), random(10)) })
    this.#around = around
  }

  protected override objection(): null {
    return null
  }

  /** A crash before `put` resolves: nobody was told 250, the client sends again. After: the queue goes on with it. */
  protected override async decide(message: HopMessage): Promise<Reply> {
    const { queue, now, expireMs, sources, suppressions, routes, log, wake } = this.#around
    const { xptt, parameters, reversePath, content, mailMs: arrivedMs } = message
    const { id } = xptt
    const startedMs = now()
    const dueMs = releasedMs({ arrivedMs, envelope: parameters })
    const directory = this.#around.directory()
    const expansion = expand(message.recipients, directory)
    const around = { sources, suppressions, routes: routes(), directory }
    const addressed = await address(expansion, reversePath, around)
    // A report comes from ourselves: nobody on its way would remember.
    const told = isReport({ id }) ? [] : addressed.told
    if (addressed.refusal !== null) {
      log.event('refused', { id, reply: formatReply(addressed.refusal) }, 'warn')
      return tellSuppressed(addressed.refusal, told)
    }
    const queued: NewMessage = {
      id,
      envelope: {
        ...parameters,
        // What a client declares, or a service that passes a message on before it has seen all of it, may not be so.
        body: isEightBit(content) ? '8BITMIME' : '7BIT',
        reversePath,
        recipients: expansion.recipients,
        xptt,
      },
      arrivedMs,
      dueMs,
      expiresMs: dueMs + (isReport({ id }) ? Math.min(expireMs, REPORT_EXPIRE_MS) : expireMs),
      recipients: addressed.recipients,
    }
    try {
      const outcome = await queue.put(queued, content)
      log.event(outcome, {
        id,
        user: parameters.authenticatedAs,
        commit: xptt.commit,
        reverse_path: formatPath(reversePath),
        recipients: expansion.recipients.length,
        size: message.sizeOctets,
        held_until: dueMs > startedMs ? new Date(dueMs).toISOString() : undefined,
        ms: now() - startedMs,
      })
      if (outcome === 'queued') {
        for (const alias of expansion.aliases)
          log.event('expanded', { id, ...alias, commit: directory.commit })
        wake()
      }
      return tellSuppressed(reply(250, '2.0.0', `Queued as ${id}`), told)
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
