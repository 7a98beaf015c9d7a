/** Under which destination each recipient is queued: his domain and pool, or one of those that are no domains. */

import type { RouteRule } from '../config/routes.ts'
import type { NewRecipient } from '../queue/queue.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { ReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { destinationFor } from './destination.ts'
import { EXPANDED, type Expansion } from './expand.ts'
import { routeFor } from './routes.ts'
import type { Sources } from './sources.ts'
import { SUPPRESSED, type Suppression, type Suppressions, textOf } from './suppression.ts'

export interface Addressed {
  readonly recipients: readonly NewRecipient[]
  /** Nobody is left who may be written to: the sender is told at once. */
  readonly refusal: Reply | null
}

export async function address(
  { recipients, expanded }: Expansion,
  reversePath: ReversePath,
  around: {
    readonly sources: Pick<Sources, 'poolFor'>
    readonly suppressions: Pick<Suppressions, 'find'>
    readonly routes: readonly RouteRule[]
  },
): Promise<Addressed> {
  const pool = around.sources.poolFor(reversePath)
  const queued: NewRecipient[] = []
  const suppressed: Suppression[] = []
  for (const recipient of recipients) {
    // Notices go to our own senders, whoever they are.
    const found =
      reversePath === null ? null : await around.suppressions.find(reversePath.domain, recipient.forwardPath)
    if (found !== null) suppressed.push(found)
    const domain = normalizeDomain(recipient.forwardPath.domain)
    const through = routeFor(around.routes, domain, reversePath)?.name ?? ''
    queued.push(queue(recipient, found === null ? destinationFor(domain, pool, through) : SUPPRESSED))
  }
  const [first] = suppressed
  if (first !== undefined && suppressed.length === recipients.length) {
    const others = suppressed.length > 1 ? `, and ${suppressed.length - 1} more like it` : ''
    return { recipients: [], refusal: reply(550, '5.7.1', `Suppressed: ${textOf(first)}${others}`) }
  }
  // Nobody is told of what becomes of a message from the null reverse-path (RFC 3461 §5.2).
  if (reversePath !== null) for (const recipient of expanded) queued.push(queue(recipient, EXPANDED))
  return { recipients: queued, refusal: null }
}

function queue({ forwardPath: mailbox, ...wishes }: EnvelopeRecipient, destination: string): NewRecipient {
  return { ...wishes, mailbox, destination }
}
