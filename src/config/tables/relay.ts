/** [relay]: the spool, the resolver, when to try again. */

import * as z from 'zod'
import { type Base, integer, list, oneOf, pathFrom, resolverList, text, workers } from '../field.ts'
import * as kind from '../value.ts'
import { hopPair } from './hop.ts'

export function relayTable(base: Base) {
  return z.object({
    hostname: text(kind.domainName)
      .prefault(`mail.${base.domain}`)
      .describe(
        'The name in EHLO and Received. It should resolve to this machine, and back (RFC 5321 §4.1.1.1).',
      ),
    listen: text(kind.endpoint(2526, 0)).prefault('127.0.0.1:2526').describe('Where the signer connects.'),
    ...hopPair('relay', base),
    signer: text(kind.endpoint(2525, 1))
      .prefault('127.0.0.1:2525')
      .describe("Where the signer is: the relay's own notices are signed as well."),
    engine: oneOf(['embedded', 'memory'])
      .prefault('embedded')
      .describe('"embedded" keeps the spool on disk. "memory" loses it at each stop: for tests only.'),
    spool: pathFrom(base.folder)
      .prefault('spool')
      .describe('The folder of the spool: the only place where mail rests.'),
    resolver: resolverList()
      .refine(servers => servers.length > 0, 'is empty: write for example ["127.0.0.1:53"]')
      .prefault(['127.0.0.1:53'])
      .describe('The resolver the relay trusts. One that validates DNSSEC, on this machine, is best.'),
    resolverValidates: z
      .boolean({ error: 'write true or false' })
      .exactOptional()
      .meta({
        description:
          'Whether the resolver checks DNSSEC and the way to it can be trusted: DANE hangs on it. Not set: when it is on this machine.',
        examples: [true],
      }),
    smtpPort: integer(1, 65_535).prefault(25).describe('The port of other mail servers.'),
    concurrency: integer(1, 1000)
      .prefault(20)
      .describe('Connections at a time to one site (the MX hosts of one or many domains), at most.'),
    idleConnections: integer(1, 100_000)
      .prefault(500)
      .describe(
        'Connections that wait for their next message, to all sites together; when there are more, the one that has waited longest is closed.',
      ),
    shaping: pathFrom(base.folder)
      .exactOptional()
      .meta({
        description: 'Rules of your own for some sites, after those that come with ptt: docs/shaping.md.',
        examples: ['shaping.toml'],
      }),
    replies: pathFrom(base.folder)
      .exactOptional()
      .meta({
        description: 'What some replies mean, before the rules that come with ptt: docs/replies.md.',
        examples: ['replies.toml'],
      }),
    verifySignatures: z
      .boolean({ error: 'write true or false' })
      .prefault(true)
      .describe(
        'Whether the first message of each selector and hour is verified with the key that the resolver sees; what does not verify waits.',
      ),
    sources: pathFrom(base.folder)
      .exactOptional()
      .meta({
        description:
          'The addresses that mail leaves from, in pools. Not set: what the system chooses. docs/sources.md.',
        examples: ['sources.toml'],
      }),
    routes: pathFrom(base.folder)
      .exactOptional()
      .meta({
        description: 'Smart hosts, and what mail goes through them: docs/routes.md.',
        examples: ['routes.toml'],
      }),
    mtaSts: z
      .boolean({ error: 'write true or false' })
      .prefault(true)
      .describe('Whether the MTA-STS policies of destinations are looked for, and kept to (RFC 8461).'),
    tlsReports: z
      .boolean({ error: 'write true or false' })
      .prefault(true)
      .describe(
        'Whether domains that ask for it are told once a day how TLS with their servers went (RFC 8460).',
      ),
    tls: pathFrom(base.folder)
      .exactOptional()
      .meta({
        description: 'How mail to some domains must be protected, whatever they announce: docs/tls.md.',
        examples: ['tls.toml'],
      }),
    privateNetworks: list(text(kind.network), 'a list of networks', 'write for example ["10.0.0.0/8"]')
      .prefault([])
      .describe(
        'Private and loopback networks where mail may go all the same; an MX there is refused otherwise, for it is a mistake or a trap.',
      ),
    retryMs: list(text(kind.duration), 'a list of durations', 'write for example ["5m", "1h", "4h"]')
      .refine(times => times.length > 0, 'is empty: write for example ["5m", "1h", "4h"]')
      .prefault(['5m', '10m', '20m', '40m', '1h', '2h', '4h'])
      .describe('The wait before each new attempt; the last one repeats.'),
    suppressMs: text(kind.duration)
      .prefault('30d')
      .describe(
        'An address that its server says does not exist is not written to for this long, by senders of the same domain (`ptt suppression`). "0s": never mind.',
      ),
    expireMs: text(kind.duration)
      .prefault('5d')
      .describe('A message that was not delivered in this time goes back to its sender (RFC 5321 §4.5.4.1).'),
    language: oneOf(['en', 'de', 'fr'])
      .prefault('en')
      .describe('The language of notices to senders: English, German or French.'),
    warnMs: text(kind.duration)
      .prefault('4h')
      .describe('After this time the sender is told that a message is not delivered yet (RFC 3461 §5.2.5).'),
    workers: workers('deliver to other servers'),
    clone: pathFrom(base.folder)
      .prefault('clones/relay.git')
      .describe('Its own clone of the repository of users: where aliases and users with targets lead.'),
    connectMs: text(kind.wait).prefault('30s').describe('How long to wait for a connection to one address.'),
  })
}

/** [timeouts]: how long the relay waits for another server. */
export function timeoutsTable() {
  const wait = (least: string, what: string) => text(kind.wait).prefault(least).describe(what)
  return z.object({
    greetingMs: wait('5m', 'For the greeting (RFC 5321 §4.5.3.2.1: at least 5m).'),
    ehloMs: wait('5m', 'For the reply to EHLO.'),
    starttlsMs: wait('5m', 'For the reply to STARTTLS, and for the handshake.'),
    mailMs: wait('5m', 'For the reply to MAIL (RFC 5321 §4.5.3.2.2: at least 5m).'),
    rcptMs: wait('5m', 'For the reply to RCPT (RFC 5321 §4.5.3.2.3: at least 5m).'),
    dataMs: wait('2m', 'For the 354 (RFC 5321 §4.5.3.2.4: at least 2m).'),
    dataBlockMs: wait('3m', 'For each block of content to be taken (RFC 5321 §4.5.3.2.5: at least 3m).'),
    dataTerminationMs: wait('10m', 'For the reply to the message (RFC 5321 §4.5.3.2.6: at least 10m).'),
    rsetMs: wait('20s', 'For the reply to RSET.'),
  })
}
