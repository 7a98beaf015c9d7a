/** [submission]: where users connect, how they sign in, what they may ask for. */

import * as z from 'zod'
import { type Base, integer, list, oneOf, pathFrom, seconds, text, workers } from '../field.ts'
import * as kind from '../value.ts'
import { hopPair } from './hop.ts'
import { oauthTable } from './oauth.ts'

/** What `smtp/sasl.ts` has, the best first. */
const USUAL_MECHANISMS = [
  'SCRAM-SHA-256-PLUS',
  'SCRAM-SHA-256',
  'OAUTHBEARER',
  'XOAUTH2',
  'EXTERNAL',
  'PLAIN',
  'LOGIN',
] as const
export const MECHANISMS = [...USUAL_MECHANISMS, 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1'] as const

/** What RFC 4865 §3 and RFC 2852 §2 can say. */
const NINE_DIGITS = seconds(1, 999_999_999, 'a duration of 1s to 999999999s')

export function submissionTable(base: Base) {
  return z.object({
    hostname: text(kind.domainName)
      .prefault(`mail.${base.domain}`)
      .describe('The name users configure in their mail programs; the certificate must carry it.'),
    listen: text(kind.endpoint(465, 0))
      .prefault('[::]:465')
      .describe('Where mail programs connect, TLS from the first octet (RFC 8314 §3.3).'),
    listenStarttls: text(kind.endpoint(587, 0))
      .exactOptional()
      .meta({
        description: 'A second door, with STARTTLS, for programs that cannot do without. Not set: none.',
        examples: ['[::]:587'],
      }),
    certificate: pathFrom(base.folder)
      .prefault('tls/submission.pem')
      .describe('The certificate (chain) mail programs see, PEM.'),
    key: pathFrom(base.folder).prefault('tls/submission.key').describe('Its private key, PEM.'),
    ...hopPair('submission', base),
    signer: text(kind.endpoint(2525, 1)).prefault('127.0.0.1:2525').describe('Where the signer is.'),
    auth: list(oneOf(MECHANISMS), 'a list of mechanisms', 'write for example ["SCRAM-SHA-256", "PLAIN"]')
      .refine(names => names.length > 0, 'is empty: nobody could sign in; write for example ["PLAIN"]')
      .prefault([...USUAL_MECHANISMS])
      .describe(
        'How users may sign in (SASL), the best first; what cannot work on a connection is not offered there. There are also SCRAM-SHA-1-PLUS and SCRAM-SHA-1, for users who have a verifier for it.',
      ),
    clientCa: pathFrom(base.folder)
      .exactOptional()
      .meta({
        description:
          'The CA of client certificates: who shows one whose rfc822Name is a user may sign in with EXTERNAL. Not set: none is asked for.',
        examples: ['tls/clients.pem'],
      }),
    oauth: oauthTable(base).exactOptional().describe('Whose tokens OAUTHBEARER and XOAUTH2 take (RFC 7628).'),
    maxMessageOctets: text(kind.size)
      .prefault('25 MiB')
      .describe('Longer messages are refused (SIZE, RFC 1870).'),
    maxRecipients: integer(1, 100_000)
      .prefault(1000)
      .describe('More recipients than this wait for another transaction (RCPTMAX, RFC 9422).'),
    maxTransactions: integer(1, 999_999)
      .prefault(100_000)
      .describe('More messages than this wait for another session (MAILMAX, RFC 9422).'),
    maxRecipientDomains: integer(1, 999_999)
      .exactOptional()
      .meta({
        description:
          'Recipients of more domains wait for another session (RCPTDOMAINMAX, RFC 9422). Not set: no limit.',
        examples: [1000],
      }),
    maxErrors: integer(1, 1000)
      .prefault(20)
      .describe('A client that sends more nonsense than this is disconnected (RFC 5321 §7.8).'),
    maxAuthFailures: integer(3, 1000)
      .prefault(3)
      .describe('After as many wrong passwords a client is disconnected (RFC 4954 §9).'),
    maxHoldSeconds: text(NINE_DIGITS)
      .prefault('30d')
      .describe('A user may have a message held for this long (FUTURERELEASE, RFC 4865).'),
    minDeliverBySeconds: text(NINE_DIGITS)
      .prefault('1m')
      .describe('A user may not ask for a message back sooner than after this (DELIVERBY with R, RFC 2852).'),
    maxPriority: integer(0, 9)
      .prefault(0)
      .describe(
        'The highest priority a user may ask for; a higher one is lowered to it (MT-PRIORITY, RFC 6710).',
      ),
    clone: pathFrom(base.folder)
      .prefault('clones/submission.git')
      .describe('Its own clone of the repository of users.'),
    state: pathFrom(base.folder)
      .prefault('state/submission')
      .describe(
        'The folder of what users have used up of their limits a day. All submission processes of a machine share one.',
      ),
    workers: workers('take the sessions'),
    hopWaitMs: text(kind.wait)
      .prefault('10s')
      .describe('How long a client waits for a signer that does not answer before it is told 451.'),
    idleMs: text(kind.wait)
      .prefault('5m')
      .describe('A client that says nothing for this long is disconnected (RFC 5321 §4.5.3.2.7).'),
  })
}
