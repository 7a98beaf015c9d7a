/** [signer]: the key, and the DNS server that publishes it. */

import { resolve } from 'node:path'
import { z } from 'zod'
import { type Base, integer, list, oneOf, pathFrom, resolverList, seconds, text } from '../field.ts'
import * as kind from '../value.ts'
import { hopPair } from './hop.ts'

export function signerTable(base: Base) {
  const { domain, folder } = base
  return z
    .object({
      listen: text(kind.endpoint(2525, 0))
        .prefault('127.0.0.1:2525')
        .describe('Where submission and relay connect.'),
      ...hopPair('signer', base),
      relay: text(kind.endpoint(2526, 1)).prefault('127.0.0.1:2526').describe('Where the relay is.'),
      selector: text(kind.selector)
        .prefault('ptt')
        .describe('The public key is published at <selector>._domainkey.<domain> (RFC 6376 §3.6.2.1).'),
      key: pathFrom(folder)
        .exactOptional()
        .meta({
          description: 'The DKIM private key, PEM, RSA. Not set, and no seed: "dkim/<selector>.pem".',
          examples: ['dkim/ptt.pem'],
        }),
      seed: pathFrom(folder)
        .exactOptional()
        .meta({
          description: 'Or a file with a seed, from which the same key is derived on any machine.',
          examples: ['dkim/seed'],
        }),
      earlierKeys: list(pathFrom(folder), 'a list of paths', 'write for example ["dkim/ptt-2025.pem"]')
        .prefault([])
        .describe(
          'Keys of ours, PEM, that were published under this selector: their record may be replaced.',
        ),
      bits: oneOf([2048, 3072, 4096])
        .prefault(2048)
        .describe('The length of a key derived from a seed (RFC 8301 §3.2).'),
      expirationMs: text(kind.duration)
        .exactOptional()
        .meta({
          description: 'Signatures expire after this long (x= of RFC 6376 §3.5). Not set: they do not.',
          examples: ['7d'],
        }),
      primary: text(kind.endpoint(53, 1))
        .prefault('127.0.0.1:53')
        .describe('The primary DNS server, which takes the public key by UPDATE (RFC 2136).'),
      authoritative: resolverList()
        .prefault([])
        .describe(
          'The servers of the zone that must all have a record before it counts as public. Empty: those of its NS records, port 53.',
        ),
      zone: text(kind.domainName)
        .prefault(domain)
        .refine(
          zone => domain === zone || domain.endsWith(`.${zone}`),
          `does not hold the key's name: write ${JSON.stringify(domain)}, or a zone above it`,
        )
        .describe('The zone that is updated.'),
      tsigKey: pathFrom(folder)
        .prefault('dns/tsig.key')
        .describe(
          'The file with the TSIG key (RFC 8945): one line NAME:ALGORITHM:BASE64, or what tsig-keygen prints.',
        ),
      ttlSeconds: text(seconds(0, Number.MAX_SAFE_INTEGER, kind.duration.noun))
        .prefault('1h')
        .describe('The TTL of the published key.'),
      resolver: resolverList()
        .prefault([])
        .describe('Resolvers that must see the public key too before it is signed with.'),
      hopWaitMs: text(kind.wait)
        .prefault('10s')
        .describe('How long submission waits for a relay that does not answer before it is told 451.'),
      clone: pathFrom(folder)
        .prefault('clones/signer.git')
        .describe(
          'Its own clone of the repository of users: it signs for a user only what he may send, whatever submission says.',
        ),
      budgetPerHour: integer(1, 1_000_000_000)
        .exactOptional()
        .meta({
          description:
            'More messages an hour are refused, with an alarm: what somebody could send at most who has broken into submission. Not set: no limit.',
          examples: [10_000],
        }),
    })
    .refine(table => table.key === undefined || table.seed === undefined, {
      // Also when another key of the table is wrong.
      when: () => true,
      path: ['seed'],
      error: 'there is a key as well: write key or seed, not both',
    })
    .transform(
      ({ key, seed, ...table }) =>
        ({
          ...table,
          ...(seed === undefined ? { key: key ?? resolve(folder, `dkim/${table.selector}.pem`) } : { seed }),
        }) as typeof table & { key?: string; seed?: string },
    )
}
