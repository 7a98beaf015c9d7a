/** What a user asks for with MAIL beside delivery, as it is granted and goes on to the relay. */

import { releaseMs } from '../smtp/future-release.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { type Reply, reply } from '../smtp/reply.ts'

export interface Granted {
  readonly parameters: MailParameters
  /** To MAIL. */
  readonly reply: Reply
}

/**
 * @param maxPriority what is above it is lowered to it, and the client is told so (RFC 6710 §4.1): no higher priority for
 *   who was not given it; a lower one anybody may ask for
 */
export function grant(parameters: MailParameters, maxPriority: number, nowMs: number): Granted {
  const { hold, priority = 0, ...others } = parameters
  const lowered = priority > maxPriority
  return {
    parameters: {
      ...others,
      // The next hop and the one behind it get it later than we: the time to wait is reckoned from now.
      ...(hold === undefined ? {} : { hold: { untilMs: releaseMs(hold, nowMs) } }),
      ...(parameters.priority === undefined ? {} : { priority: lowered ? maxPriority : priority }),
    },
    reply: lowered
      ? reply(250, '2.3.6', `${maxPriority} is the new priority, the highest this user may ask for`)
      : reply(250, '2.1.0', 'Sender accepted'),
  }
}
