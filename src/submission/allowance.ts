/**
 * What a user and his domain may send in a day, held when a message is to be handed on: a place is reserved before, and
 * given back when the message is not accepted. Who has no such limits never comes here.
 *
 * Where nobody knows what is used up, the answer is temporary: no limit is not the same as an unknown one.
 */

import type { User } from '../directory/directory.ts'
import { foldMailbox } from '../directory/may-send.ts'
import {
  type Counted,
  type Denial,
  giveBack,
  isCounted,
  look,
  type Notice,
  reserve,
} from '../directory/usage/allow.ts'
import { UsageError, type UsageStore } from '../directory/usage/store.ts'
import { formatTime, NOUNS } from '../directory/usage/window.ts'
import type { Log } from '../observe/event.ts'
import { type ForwardPath, formatMailbox } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'

/** A place that a message has. */
export interface Reservation {
  /** The message was not accepted: others may have its place. Never rejects. */
  giveBack(): Promise<void>
}

export interface AllowanceOptions {
  readonly store: Pick<UsageStore, 'read' | 'commit'>
  readonly now: () => number
  readonly log: Log
}

export class Allowance {
  readonly #options: AllowanceOptions
  /** Told, and not yet over. */
  #trouble: string | null = null

  constructor(options: AllowanceOptions) {
    this.#options = options
  }

  /** MAIL: why not even one more recipient would pass. Then the content need not come. */
  refuse(user: User): null | Promise<Reply | null> {
    const { store, now } = this.#options
    if (!isCounted(user)) return null
    return this.#attempt(async () => {
      const denial = await store.read(tables => look(tables, user, now()))
      return denial && refusal(denial)
    })
  }

  /** The message is about to be handed on. A reply says that it may not be. */
  async reserve(user: User, id: string, paths: readonly ForwardPath[]): Promise<Reply | Reservation | null> {
    const { store, now, log } = this.#options
    if (!isCounted(user)) return null
    const recipients = paths.map(path => formatMailbox(foldMailbox(path)))
    return this.#attempt(async () => {
      const claim = { id, user, recipients, nowMs: now() }
      const outcome = await store.commit(tables => reserve(tables, claim))
      if (!('claim' in outcome)) return refusal(outcome)
      for (const notice of outcome.notices) log.event('limit', fieldsOf(notice), 'warn')
      return { giveBack: () => this.#giveBack(outcome) }
    })
  }

  async #giveBack(counted: Counted): Promise<void> {
    await this.#attempt(() => this.#options.store.commit(tables => giveBack(tables, counted)))
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | Reply> {
    try {
      const result = await work()
      this.#trouble = null
      return result
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      if (this.#trouble !== error.message)
        this.#options.log.event('alarm', { about: 'limits', reason: error.message }, 'error')
      this.#trouble = error.message
      return reply(451, '4.3.0', 'It is not known what is used up of the limits a day, try again later')
    }
  }
}

/** RFC 5321 §4.2.1: 4yz is for what may pass later, 5yz for what never will as it is. */
function refusal({ of, counted, limit, used, wanted, retryMs }: Denial): Reply {
  const noun = NOUNS[counted]
  const most = `${of} may send to ${limit} ${noun} a day`
  if (retryMs === null)
    return reply(550, '5.7.1', `${most}, and this message has ${wanted}: send it to fewer`)
  const said = counted === 'messages' ? `${of} may send ${limit} messages a day` : most
  const left = Math.max(0, limit - used)
  const room = left === 0 ? 'has done so' : `${left} are left, and this message has ${wanted}`
  return reply(
    450,
    '4.7.1',
    `${said}, ${left === 0 ? 'and ' : ''}${room}; try again from ${formatTime(retryMs)}`,
  )
}

function fieldsOf({ of, counted, used, limit }: Notice) {
  return { of, about: `${NOUNS[counted]} a day`, used, limit }
}
