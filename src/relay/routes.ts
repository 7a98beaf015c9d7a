/** Through which smart host a message goes, if any: the first route whose conditions all hold. Pure. */

import type { RouteRule } from '../config/routes.ts'
import type { Job } from '../queue/queue.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import type { ReversePath } from '../smtp/path.ts'
import { domainOf, type MailHost } from './destination.ts'
import { matches } from './shaping.ts'

export function smartHostFor(routes: readonly RouteRule[], job: Job): RouteRule | null {
  const attempts = Math.min(...job.recipients.map(index => job.message.recipients[index]?.attempts ?? 0))
  return routeFor(routes, domainOf(job.destination), job.message.reversePath, attempts)
}

/** @param domain of recipients, normalized */
export function routeFor(
  routes: readonly RouteRule[],
  domain: string,
  reversePath: ReversePath,
  attempts = 0,
): RouteRule | null {
  const sender = reversePath === null ? null : normalizeDomain(reversePath.domain)
  const found = routes.find(
    ({ recipients, senders, afterAttempts = 0 }) =>
      attempts >= afterAttempts &&
      (recipients === undefined || recipients.some(pattern => matches(pattern, domain))) &&
      (senders === undefined || (sender !== null && senders.some(pattern => matches(pattern, sender)))),
  )
  return found ?? null
}

/**
 * Its one host. Its name is what the operator wrote, so it is the one that is meant.
 * @param trusted whether what the resolver says of DNSSEC can be believed: then TLSA records of it count (RFC 7672 §2.2.2)
 */
export function hostOf(route: RouteRule, trusted: boolean): MailHost {
  const { host } = route.host
  const literal = /^[\d.]+$|:/.test(host)
  return {
    name: host,
    found: 'configured',
    secure: trusted && !literal,
    preference: 0,
    addresses: literal ? [host] : null,
    route,
  }
}
