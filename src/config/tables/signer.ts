/** [signer]: the key, and the DNS server that publishes it. */

import { resolve } from 'node:path'
import * as z from 'zod'
import { type Base, integer, list, oneOf, pathFrom, resolverList, seconds, text, workers } from '../field.ts'
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
        .describe(
          'A key named below is published at <selector>._domainkey.<domain> (RFC 6376 §3.6.2.1); Ed25519 beside RSA at <selector>-ed25519.',
        ),
      selectorTemplate: text(selectorTemplate)
        .prefault('{selector}-{date}-{random}-{algorithm}')
        .describe(
          'The selectors of keys that the signer makes. There is {number} too; with {random} nobody can have asked for one before it is there.',
        ),
      key: listOf(keySource(folder))
        .exactOptional()
        .meta({
          description:
            'Private keys of your own, PEM, RSA or Ed25519: a file, a folder of <selector>.pem, "credential:NAME" of systemd, "fd:3"; or a list of these. Not set, and no seed: the signer makes keys and replaces them.',
          examples: ['dkim/mine.pem'],
        }),
      seed: keySource(folder)
        .exactOptional()
        .meta({
          description: 'Or a seed, from which the same keys are derived on any machine.',
          examples: ['dkim/seed'],
        }),
      seedFor: oneOf(['domain', 'selector'])
        .prefault('domain')
        .describe(
          'What a key is derived for: "domain", one for ever; "selector", another with each selector: write a new one now and then.',
        ),
      earlierKeys: list(pathFrom(folder), 'a list of paths', 'write for example ["dkim/ptt-2025.pem"]')
        .prefault([])
        .describe(
          'Keys of ours, PEM, that were published under this selector: their record may be replaced.',
        ),
      state: pathFrom(folder)
        .prefault('dkim')
        .describe('The folder of the keys that the signer makes, and of what it knows of all keys.'),
      algorithms: list(oneOf(['rsa', 'ed25519']), 'a list of algorithms', 'write ["rsa", "ed25519"]')
        .refine(names => names.length > 0, 'is empty: write ["rsa", "ed25519"]')
        .transform(names => [...new Set(names)].map(name => `${name}-sha256` as const))
        .prefault(['rsa', 'ed25519'])
        .describe('A message gets a signature of each; not every verifier knows Ed25519 (RFC 8463).'),
      bits: oneOf([2048, 3072, 4096])
        .prefault(2048)
        .describe('The length of RSA keys that are made or derived (RFC 8301 §3.2).'),
      rotateMs: text(durationOrNever)
        .prefault('90d')
        .describe('The age at which a key that the signer has made is replaced; or "never".'),
      revokedForMs: text(kind.duration)
        .prefault('30d')
        .describe('How long the record of a replaced key says that it is revoked before it is removed.'),
      queueAgeMs: text(kind.duration)
        .exactOptional()
        .meta({
          description:
            'How long the relay tries to deliver: the record of a replaced key stays so long, and x= more. Not set: expire of [relay] in this file.',
          examples: ['5d'],
        }),
      fields: list(text(fieldName), 'a list of header fields', 'write for example ["From", "To", "Subject"]')
        .exactOptional()
        .meta({
          description:
            'The header fields that are signed; From is in any case. Not set: all that a reader is shown.',
          examples: [['From', 'To', 'Subject', 'Date']],
        }),
      canonicalization: oneOf(['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'])
        .prefault('relaxed/relaxed')
        .describe('c= of signatures, header and body: "simple" bears no change of white space on the way.'),
      expirationMs: text(durationOrNever)
        .exactOptional()
        .meta({
          description:
            'Signatures expire after this long (x= of RFC 6376 §3.5), longer than the relay tries; or "never". Not set: five days after the relay gives up.',
          examples: ['14d'],
        }),
      primary: text(kind.endpoint(53, 1))
        .prefault('127.0.0.1:53')
        .describe('The primary DNS server, which takes the public key by UPDATE (RFC 2136).'),
      primaryFrom: oneOf(['here', 'soa'])
        .prefault('here')
        .describe(
          '"soa": the resolvers are asked for the primary instead, the MNAME of the SOA of the zone.',
        ),
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
        .describe(
          'The resolvers of the relay, which must see a key too before it signs. Empty: only the primary is asked.',
        ),
      workers: workers('take the sessions'),
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
    .refine(table => (table.key ?? []).length === 0 || table.seed === undefined, {
      // Also when another key of the table is wrong.
      when: () => true,
      path: ['seed'],
      error: 'there is a key as well: write key or seed, not both',
    })
    .transform(({ key = [], ...table }) => ({ ...table, key }))
}

/** Where a secret is read from. */
export type KeySource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'descriptor'; readonly descriptor: number }
  | { readonly kind: 'credential'; readonly credential: string }
  /** On the command line, by this option. */
  | { readonly kind: 'given'; readonly option: string; readonly text: string }

function keySource(folder: string) {
  return text<KeySource>({
    noun: 'a path, "credential:NAME" or "fd:NUMBER"',
    write: 'write the path of a file in quotes',
    parse(written) {
      const [, descriptor] = /^fd:(\d{1,5})$/.exec(written) ?? []
      if (descriptor !== undefined) return { kind: 'descriptor', descriptor: Number(descriptor) }
      const [, credential] = /^credential:([^/\0]+)$/.exec(written) ?? []
      if (credential !== undefined) return { kind: 'credential', credential }
      const path = kind.path.parse(written)
      return path === undefined ? undefined : { kind: 'file', path: resolve(folder, path) }
    },
  })
}

/** One may be written without the brackets. */
function listOf<T extends z.ZodType>(element: T) {
  return z.preprocess(
    written => (Array.isArray(written) ? written : [written]),
    list(element, 'a list', 'write for example ["dkim/rsa.pem", "dkim/ed25519.pem"]'),
  )
}

/** What is in braces is filled in; the rest are letters, digits, hyphens and dots. */
const selectorTemplate: kind.Kind<string> = {
  noun: 'a template of selectors',
  write: 'write letters, digits, hyphens, {selector}, {date}, {random}, {number}, {algorithm}',
  parse(written) {
    const filled = written.replace(/\{(?:selector|date|random|number|algorithm)\}/g, 'x')
    return kind.selector.parse(filled) === undefined ? undefined : written
  },
}

const durationOrNever: kind.Kind<number | null> = {
  noun: 'a duration',
  write: `${kind.duration.write}, or "never"`,
  parse(written) {
    if (written === 'never') return null
    const ms = kind.duration.parse(written)
    return ms === 0 ? null : ms
  },
}

/** RFC 5322 §2.2. The signature itself is always signed, and never listed (RFC 6376 §3.5). */
const fieldName: kind.Kind<string> = {
  noun: 'the name of a header field',
  write: 'write it without a colon, such as "Subject"',
  parse: written =>
    /^[!-9;-~]+$/.test(written) && written.toLowerCase() !== 'dkim-signature' ? written : undefined,
}
