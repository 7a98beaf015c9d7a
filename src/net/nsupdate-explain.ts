/** What an operator reads when the primary refuses an UPDATE: what happened, why, what to do. */

import type { TsigKey } from '../dns/tsig.ts'
import { FUDGE_SECONDS } from '../dns/tsig.ts'
import type { Update } from '../dns/update.ts'

export interface RefusalContext {
  readonly server: string
  readonly update: Update
  readonly key: TsigKey
  readonly authenticated: boolean
  readonly offsetSeconds?: number | undefined
}

export function explain(code: string, context: RefusalContext): string {
  const { server, update, key } = context
  const { zone } = update
  const names = [
    ...new Set(update.changes.map(change => ('record' in change ? change.record.name : change.name))),
  ].join(', ')
  const unsigned = context.authenticated ? '' : ' (The reply cannot be signed, so it could be forged.)'
  switch (code) {
    case 'BADKEY':
      return (
        `${server} does not know a TSIG key '${key.name}' with algorithm ${key.algorithm}, or (Knot) does not let it ` +
        `change ${names}: compare name, algorithm and permissions with its configuration.${unsigned}`
      )
    case 'BADSIG':
      return `${server} knows the TSIG key '${key.name}' with another secret: compare the secrets.${unsigned}`
    case 'BADTIME': {
      const offset = context.offsetSeconds ?? 0
      const clocks = `the clock of ${server} is ${Math.abs(offset)} s ${offset < 0 ? 'behind' : 'ahead of'} ours`
      return `${clocks}, TSIG allows ${FUDGE_SECONDS} s: set both by NTP.`
    }
    case 'BADTRUNC':
      return `${server} wants a longer MAC than ${key.algorithm} gives: use a key with a stronger algorithm.`
    case 'REFUSED':
      // They tell none of these apart, and give no time by which to see that the clocks differ.
      if (!context.authenticated)
        return (
          `${server} does not take this update: PowerDNS, and Knot since 3.4, say so where they have no TSIG key ` +
          `'${key.name}' with algorithm ${key.algorithm}, have it with another secret, do not let it change ${names} ` +
          `(PowerDNS: TSIG-ALLOW-DNSUPDATE; Knot: acl), or where their clock and ours are more than ${FUDGE_SECONDS} s ` +
          'apart; the log there tells which.'
        )
      return (
        `${server} does not let TSIG key '${key.name}' change ${names} in zone ${zone}: ` +
        'allow it there (BIND: update-policy; Knot: acl with action update; PowerDNS: TSIG-ALLOW-DNSUPDATE).'
      )
    case 'NOTAUTH':
      // All that Knot says since 3.4 to who may not, or is not known.
      if (!context.authenticated)
        return (
          `${server} is not the primary of zone ${zone}, or (Knot) it does not know a TSIG key '${key.name}' with algorithm ` +
          `${key.algorithm}, or does not let it change ${names}: compare zone, key and permissions with its configuration.`
        )
      return `${server} is not the primary of zone ${zone}: check the zone's name and the server's address.`
    case 'NOTZONE':
      return `${names} is not in zone ${zone}: check the zone's name.`
    case 'YXRRSET':
      return `${names} has a record already, and it was not there a moment ago: somebody else writes it too.`
    case 'NXRRSET':
      return `${names} does not have the record any more that is to be replaced: somebody else writes it too.`
    case 'YXDOMAIN':
      return `${names} exists already, and should not.`
    case 'NXDOMAIN':
      return `${names} does not exist, and should.`
    case 'SERVFAIL':
      return `${server} could not make the change: see its log (often its journal cannot be written).`
    case 'NOTIMP':
      return `${server} does not do dynamic updates (RFC 2136): use one that does, or publish the record by hand.`
    case 'FORMERR':
      return `${server} calls our update malformed: please report it as a fault of ptt, with the server's version.`
    default:
      return `${server} refuses the update of ${names} in zone ${zone}: ${code}.`
  }
}
