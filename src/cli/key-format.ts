/** Keys as text for people, as JSON for programs, as records for a zone file. */

import { createPublicKey } from 'node:crypto'
import { parseKeyRecord } from '../dkim/key-record.ts'
import { txtStrings } from '../dns/rdata.ts'
import {
  dueMs,
  isLive,
  type Key,
  nameOf,
  type Settings,
  signingKeys,
  targetOf,
} from '../signer/life-cycle.ts'
import { recordAt } from '../signer/publish.ts'
import { duration, iso, when } from './queue-format.ts'
import { formatColumns } from './repository.ts'

/** `ptt key list`: a line a key. */
export function formatKeys(keys: readonly Key[], settings: Settings, nowMs: number): string {
  if (keys.length === 0)
    return 'There are no keys: the signer makes them, or reads those of ptt.toml, when it starts.\n'
  const rows = keys.map(key => [
    key.domain,
    key.selector,
    key.algorithm.replace(/-sha256$/, ''),
    key.stage,
    duration(nowMs - key.sinceMs),
    nextOf(key, settings, nowMs),
    key.reason,
  ])
  return formatColumns([['DOMAIN', 'SELECTOR', 'KEY', 'STATE', 'FOR', 'NEXT', 'WHY'], ...rows])
}

/** What time will do with it. */
function nextOf(key: Key, settings: Settings, nowMs: number): string {
  const due = dueMs(key, settings)
  if (!Number.isFinite(due)) return '-'
  const what: Record<Key['stage'], string> = {
    pending: '',
    published: 'active',
    active: 'replaced',
    retiring: 'revoked',
    revoked: 'removed',
    removed: 'forgotten',
  }
  return due <= nowMs ? `${what[key.stage]} soon` : `${what[key.stage]} ${when(due, nowMs)}`
}

/** Whether a domain can be signed for, and why not. */
export interface DomainStatus {
  readonly domain: string
  readonly signs: boolean
  readonly keys: readonly Key[]
}

/** Of every domain that has keys, or of the one asked for. */
export function statusOf(keys: readonly Key[], domains: readonly string[]): DomainStatus[] {
  return domains.map(domain => ({
    domain,
    signs: signingKeys(keys, domain).length > 0,
    keys: keys.filter(key => key.domain === domain),
  }))
}

export function formatStatus(statuses: readonly DomainStatus[], settings: Settings, nowMs: number): string {
  return statuses
    .map(({ domain, signs, keys }) => {
      const active = keys.filter(({ stage }) => stage === 'active').map(({ selector }) => selector)
      const [live] = keys.filter(isLive)
      const verdict = signs
        ? `signed with ${active.join(' and ')}`
        : `NOT SIGNED, so not sent: ${live === undefined ? 'it has no key' : `${live.selector}: ${live.reason}`}`
      const lines = keys
        .filter(({ stage }) => stage !== 'removed')
        .map(key => {
          const next = nextOf(key, settings, nowMs)
          const rest = next === '-' ? '' : `; ${next}`
          return `  ${key.selector}: ${key.stage} for ${duration(nowMs - key.sinceMs)}: ${key.reason}${rest}`
        })
      return `${[`${domain}: ${verdict}`, ...lines].join('\n')}\n`
    })
    .join('')
}

/** What a program may rely on. Nothing of it is secret. */
export function keyJson(key: Key, settings: Settings): object {
  const due = dueMs(key, settings)
  return {
    domain: key.domain,
    selector: key.selector,
    algorithm: key.algorithm,
    origin: key.origin,
    state: key.stage,
    since: iso(key.sinceMs),
    created: iso(key.createdMs),
    next: Number.isFinite(due) ? iso(due) : null,
    needed_until: key.neededUntilMs === 0 ? null : iso(key.neededUntilMs),
    reason: key.reason,
    name: nameOf(key),
    record: key.record,
  }
}

export type PublicFormat = 'zone' | 'text' | 'pem'

/**
 * What is to be at the name of a key: as a line of a zone file (RFC 1035 §5.1), as bare text, or its public key as PEM.
 * `null`: nothing.
 */
export function formatPublic(
  key: Key,
  format: PublicFormat,
  ttlSeconds: number,
  nowMs: number,
): string | null {
  const target = targetOf(key, nowMs)
  const text = target === null ? null : recordAt(target, key.record)
  if (text === null) return null
  switch (format) {
    case 'zone': {
      // RFC 1035 §3.3.14: a string has 255 octets at most. No record has a quote or a backslash in it.
      const strings = txtStrings(text).map(octets => `"${Buffer.from(octets).toString('latin1')}"`)
      return `${nameOf(key)}. ${ttlSeconds} IN TXT ${strings.join(' ')}\n`
    }
    case 'text':
      return `${text}\n`
    case 'pem':
      return publicPem(key)
  }
}

/** RFC 8410 §4: what stands before the 32 octets of an Ed25519 key. */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex')

function publicPem(key: Key): string {
  const parsed = parseKeyRecord(key.record)
  const octets = Buffer.from(parsed?.publicKey ?? '', 'base64')
  const der = parsed?.keyType === 'ed25519' ? Buffer.concat([ED25519_SPKI, octets]) : octets
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
    .export({ type: 'spki', format: 'pem' })
    .toString()
}
