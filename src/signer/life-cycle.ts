/**
 * The life of a key, without I/O: keys and what has happened → keys. Time is an argument.
 *
 *   pending → published → active → retiring → revoked → removed
 *
 *   pending    there is a private key; its record is not at the primary, or is another one
 *   published  the primary has the record; some server, some cache or the relay's resolver may not have it yet
 *   active     every authoritative server serves it, and nobody remembers that it was not there: it signs
 *   retiring   another has taken its place; what it has signed may still be on its way, so the record stays
 *   revoked    the record says p= (RFC 6376 §3.6.1): what it has signed is not to be believed any more
 *   removed    nothing of it is in DNS; kept in the list for a while, so that one can see what was
 *
 * An active key whose record is seen to be gone or changed goes back, and does not sign. One whose record cannot be looked
 * at stays active: it was there, and whoever verifies asks other servers than we do.
 */

import type { Algorithm } from '../dkim/signature.ts'

export type Stage = 'pending' | 'published' | 'active' | 'retiring' | 'revoked' | 'removed'

export interface Key {
  /** d=, A-labels, lower case. */
  readonly domain: string
  readonly selector: string
  readonly algorithm: Algorithm
  /** `v=DKIM1; k=rsa; p=…` */
  readonly record: string
  /** Made by the signer, which replaces it in time; or named in ptt.toml, where only the operator does. */
  readonly origin: 'generated' | 'configured'
  readonly stage: Stage
  readonly sinceMs: number
  readonly createdMs: number
  /** Why it is where it is, for people. */
  readonly reason: string
  /** Its selector cannot be guessed, and has signed nothing yet: nobody can have asked for it. */
  readonly unasked: boolean
  /** For how long others may remember what was there before it: most often that there was nothing (RFC 2308 §5). */
  readonly staleSeconds: number
  /** Since when all authoritative servers are seen to serve the record. */
  readonly everywhereMs: number | null
  /** Until when somebody may verify what it has signed; 0: it has signed nothing. */
  readonly neededUntilMs: number
  /** Of a revoked key: until when the record says p=; `null` while it is not seen to say so. */
  readonly revokedUntilMs: number | null
  /** Revoked by command: it never comes back, though ptt.toml may name it still. */
  readonly forbidden: boolean
  /** Records of ours that were at this name before: they may be replaced. */
  readonly replaces: readonly string[]
}

export type KeyId = Pick<Key, 'domain' | 'selector'>
export type NewKey = Pick<
  Key,
  'domain' | 'selector' | 'algorithm' | 'record' | 'origin' | 'unasked' | 'replaces'
>

/** What is to be at the key's name. */
export type Target = 'key' | 'revoked' | 'nothing'

/** What is at a key's name, compared with the target. */
export type Observation =
  /** Every authoritative server has it; `objection`: what the relay's resolver has instead. */
  | { readonly kind: 'served'; readonly objection: string | null }
  /** The primary has it. */
  | { readonly kind: 'partly'; readonly reason: string; readonly staleSeconds: number }
  /** The primary has nothing at this name, or an earlier record of ours. */
  | { readonly kind: 'absent'; readonly staleSeconds: number }
  /** Somebody else's record is there, or may not be changed. */
  | { readonly kind: 'conflict'; readonly reason: string }
  /** `placed`: the primary has what is to be there, the others are not known to. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly placed?: boolean }

export type Event =
  | { readonly kind: 'added'; readonly key: NewKey; readonly reason: string }
  | {
      readonly kind: 'found'
      readonly id: KeyId
      /** What was looked for: it may be another thing by now. */
      readonly target: Target
      readonly observation: Observation
    }
  /** Something was signed, which can be verified until then. */
  | { readonly kind: 'signed'; readonly id: KeyId; readonly untilMs: number }
  | { readonly kind: 'retired'; readonly id: KeyId; readonly reason: string }
  | { readonly kind: 'revoked'; readonly id: KeyId; readonly reason: string }
  | { readonly kind: 'tick' }

export interface Settings {
  /** The age at which a key that we made is replaced; `null`: never. */
  readonly rotateMs: number | null
  /** How long a signature made now may have to be verified: the queue's max age and x=. */
  readonly lifetimeMs: number
  /** How long the record says p= before it is removed. */
  readonly revokedMs: number
}

export interface Transition {
  readonly key: Key
  /** `null`: it is new. */
  readonly from: Stage | null
}

export interface Step {
  readonly keys: readonly Key[]
  readonly transitions: readonly Transition[]
}

/** How long one can see what was; what is forbidden for ever. */
const HISTORY_MS = 90 * 86_400_000
const LIVE: ReadonlySet<Stage> = new Set(['pending', 'published', 'active'])

/** What follows from an event, and from the time that it is. */
export function step(keys: readonly Key[], event: Event, settings: Settings, nowMs: number): Step {
  const before = new Map(keys.map(key => [nameOf(key), key]))
  const after = supersede(apply(keys, event, settings, nowMs), settings, nowMs)
    .map(key => pass(key, nowMs))
    .filter(key => key.stage !== 'removed' || key.forbidden || nowMs < key.sinceMs + HISTORY_MS)
  const transitions = after.flatMap(key => {
    const from = before.get(nameOf(key))?.stage ?? null
    return from === key.stage ? [] : [{ key, from }]
  })
  return { keys: after, transitions }
}

/** @throws RangeError the key is there already */
function apply(keys: readonly Key[], event: Event, settings: Settings, nowMs: number): readonly Key[] {
  switch (event.kind) {
    case 'added': {
      const name = nameOf(event.key)
      const there = keys.find(key => nameOf(key) === name)
      if (there !== undefined && there.stage !== 'removed' && there.record === event.key.record)
        throw new RangeError(`there is a key at ${name}`)
      return [...keys.filter(key => key !== there), newKey(event.key, event.reason, nowMs)]
    }
    case 'tick':
      return keys
    default:
      return keys.map(key => (nameOf(key) === nameOf(event.id) ? change(key, event, settings, nowMs) : key))
  }
}

function change(
  key: Key,
  event: Exclude<Event, { kind: 'added' | 'tick' }>,
  settings: Settings,
  nowMs: number,
): Key {
  switch (event.kind) {
    case 'found':
      return event.target === targetOf(key, nowMs) ? found(key, event.observation, settings, nowMs) : key
    case 'signed':
      return event.untilMs > key.neededUntilMs ? { ...key, neededUntilMs: event.untilMs } : key
    case 'retired':
      return LIVE.has(key.stage) ? retire(key, event.reason, settings, nowMs) : key
    case 'revoked':
      return key.stage === 'removed' ? key : { ...revoke(key, event.reason, nowMs), forbidden: true }
  }
}

function newKey(key: NewKey, reason: string, nowMs: number): Key {
  return {
    ...key,
    stage: 'pending',
    sinceMs: nowMs,
    createdMs: nowMs,
    reason,
    staleSeconds: 0,
    everywhereMs: null,
    neededUntilMs: 0,
    revokedUntilMs: null,
    forbidden: false,
  }
}

function found(key: Key, observation: Observation, settings: Settings, nowMs: number): Key {
  switch (key.stage) {
    case 'pending':
    case 'published':
    case 'active':
      return foundLive(key, observation, settings, nowMs)
    case 'retiring':
      return observation.kind === 'served' ? key : { ...key, reason: reasonOf(key, observation) }
    case 'revoked':
      return foundRevoked(key, observation, settings, nowMs)
    case 'removed':
      return key
  }
}

function foundLive(key: Key, observation: Observation, settings: Settings, nowMs: number): Key {
  const { kind } = observation
  if (kind === 'unknown') {
    if (key.stage === 'active') return key
    return moved(key, observation.placed ? 'published' : key.stage, observation.reason, nowMs, {})
  }
  if (kind === 'conflict') return moved(key, 'pending', observation.reason, nowMs, { everywhereMs: null })
  if (kind === 'absent' || kind === 'partly') {
    const staleSeconds = key.unasked ? 0 : Math.max(key.staleSeconds, observation.staleSeconds)
    const facts = { staleSeconds, everywhereMs: null }
    return kind === 'absent'
      ? moved(key, 'pending', 'its record is not in DNS', nowMs, facts)
      : moved(key, 'published', observation.reason, nowMs, facts)
  }
  // Those who were told that it is not there were told so before now, at the latest.
  const everywhereMs = key.everywhereMs ?? nowMs
  const forgottenMs = everywhereMs + key.staleSeconds * 1000
  if (key.stage !== 'active' && nowMs < forgottenMs) {
    const until = new Date(forgottenMs).toISOString()
    const reason = `all servers have its record; others may remember until ${until} that it was not there`
    return moved(key, 'published', reason, nowMs, { everywhereMs })
  }
  if (observation.objection !== null)
    return moved(key, 'published', observation.objection, nowMs, { everywhereMs })
  return moved(key, 'active', 'its record is seen everywhere', nowMs, {
    everywhereMs,
    staleSeconds: 0,
    // From now on its name is in messages.
    unasked: false,
    neededUntilMs: Math.max(key.neededUntilMs, nowMs + settings.lifetimeMs),
  })
}

function foundRevoked(key: Key, observation: Observation, settings: Settings, nowMs: number): Key {
  const { kind } = observation
  if (kind === 'unknown') return { ...key, reason: reasonOf(key, observation) }
  // What is there instead is not ours, and nothing of ours is there.
  if (kind === 'absent' || kind === 'conflict')
    return moved(key, 'removed', kind === 'absent' ? 'its record is gone' : observation.reason, nowMs, {})
  return { ...key, revokedUntilMs: key.revokedUntilMs ?? nowMs + settings.revokedMs }
}

/** The reason of the stage stays in front of what is in the way. */
function reasonOf(key: Key, observation: Observation): string {
  const trouble = 'reason' in observation ? observation.reason : 'its record is not in DNS'
  return `${key.reason.split(' — ')[0]} — ${trouble}`
}

function moved(key: Key, stage: Stage, reason: string, nowMs: number, facts: Partial<Key>): Key {
  return { ...key, ...facts, stage, reason, sinceMs: stage === key.stage ? key.sinceMs : nowMs }
}

/** Of the keys we made for a domain and an algorithm the newest active one signs; what came before it has had its time. */
function supersede(keys: readonly Key[], settings: Settings, nowMs: number): readonly Key[] {
  const newest = new Map<string, Key>()
  for (const key of keys) {
    if (key.origin !== 'generated' || key.stage !== 'active') continue
    const other = newest.get(lineOf(key))
    if (other === undefined || isNewer(key, other)) newest.set(lineOf(key), key)
  }
  return keys.map(key => {
    const other = newest.get(lineOf(key))
    if (other === undefined || key === other || key.origin !== 'generated' || !LIVE.has(key.stage)) return key
    return isNewer(key, other) ? key : retire(key, `${other.selector} has taken its place`, settings, nowMs)
  })
}

function lineOf({ domain, algorithm }: Key): string {
  return `${domain} ${algorithm}`
}

function isNewer(key: Key, other: Key): boolean {
  return key.createdMs === other.createdMs ? key.selector > other.selector : key.createdMs > other.createdMs
}

function retire(key: Key, reason: string, settings: Settings, nowMs: number): Key {
  // It has signed nothing: there is nothing to wait for.
  if (key.neededUntilMs === 0) return revoke(key, reason, nowMs)
  const neededUntilMs = Math.max(key.neededUntilMs, nowMs + settings.lifetimeMs)
  return moved(key, 'retiring', reason, nowMs, { neededUntilMs })
}

function revoke(key: Key, reason: string, nowMs: number): Key {
  // What nobody has seen need not be said to be revoked.
  const revokedUntilMs = key.neededUntilMs === 0 ? nowMs : key.revokedUntilMs
  return moved(key, 'revoked', reason, nowMs, { revokedUntilMs })
}

/** What time alone does. */
function pass(key: Key, nowMs: number): Key {
  if (key.stage !== 'retiring' || nowMs < key.neededUntilMs) return key
  return revoke(key, 'nothing that it has signed is under way any more', nowMs)
}

/** `null`: nothing of the key is to be in DNS, and nothing is known to be. */
export function targetOf(key: Key, nowMs: number): Target | null {
  if (key.stage === 'removed') return null
  if (key.stage !== 'revoked') return 'key'
  return key.revokedUntilMs === null || nowMs < key.revokedUntilMs ? 'revoked' : 'nothing'
}

/** The next moment at which time alone changes something; Infinity: never. */
export function dueMs(key: Key, settings: Settings): number {
  switch (key.stage) {
    case 'pending':
      return Number.POSITIVE_INFINITY
    case 'published':
      return key.everywhereMs === null ? Number.POSITIVE_INFINITY : key.everywhereMs + key.staleSeconds * 1000
    case 'active':
      return key.origin === 'generated' && settings.rotateMs !== null
        ? key.createdMs + settings.rotateMs
        : Number.POSITIVE_INFINITY
    case 'retiring':
      return key.neededUntilMs
    case 'revoked':
      return key.revokedUntilMs ?? Number.POSITIVE_INFINITY
    case 'removed':
      return key.forbidden ? Number.POSITIVE_INFINITY : key.sinceMs + HISTORY_MS
  }
}

/** Those a message of the domain is signed with; none: it is deferred. */
export function signingKeys(keys: readonly Key[], domain: string): Key[] {
  return keys.filter(key => key.domain === domain && key.stage === 'active')
}

/** Whether it is, or is to be, one that signs. */
export function isLive(key: Key): boolean {
  return LIVE.has(key.stage)
}

/** The algorithms for which a new key of the domain is to be made: there is none, or none that is young enough. */
export function wanting(
  keys: readonly Key[],
  domain: string,
  algorithms: readonly Algorithm[],
  settings: Settings,
  nowMs: number,
): Algorithm[] {
  const { rotateMs } = settings
  const isOld = (key: Key): boolean =>
    key.stage === 'active' && rotateMs !== null && nowMs >= key.createdMs + rotateMs
  return algorithms.filter(algorithm =>
    keys
      .filter(key => key.domain === domain && key.algorithm === algorithm && key.origin === 'generated')
      .filter(isLive)
      .every(isOld),
  )
}

/** `<selector>._domainkey.<domain>` */
export function nameOf({ domain, selector }: KeyId): string {
  return `${selector}._domainkey.${domain}`
}
