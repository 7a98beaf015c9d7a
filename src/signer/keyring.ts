/**
 * The keys of this signer: what is known of each (life-cycle.ts, kept on disk), their private halves, and what a message is
 * to be signed with. Every change goes through `apply`, which saves and tells it.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { formatKeyRecord } from '../dkim/key-record.ts'
import type { SigningKey } from '../dkim/sign.ts'
import type { Algorithm } from '../dkim/signature.ts'
import type { Log } from '../observe/event.ts'
import type { KeyFolder } from './key-folder.ts'
import { algorithmOf, type LoadedKey } from './key-store.ts'
import {
  type Event,
  isLive,
  type Key,
  type KeyId,
  nameOf,
  type Settings,
  signingKeys,
  step,
  wanting,
} from './life-cycle.ts'
import { revokedRecordOf } from './publish.ts'
import { makeSelector } from './selector.ts'

/** What the directory says of signing. */
export interface DomainRules {
  readonly commit: string
  readonly domains: ReadonlySet<string>
  /** Of those domains whose domain.toml says something. */
  readonly signing: ReadonlyMap<string, { readonly never: boolean; readonly selectorTemplate?: string }>
}

export interface KeyringOptions {
  readonly folder: Pick<
    KeyFolder,
    'load' | 'save' | 'readPrivate' | 'hasPrivate' | 'writePrivate' | 'destroyPrivate'
  >
  readonly settings: Settings
  /** The deployment's domain. */
  readonly domain: string
  readonly rules: () => DomainRules
  readonly selector: string
  readonly selectorTemplate: string
  readonly algorithms: readonly Algorithm[]
  /** Those that ptt.toml names; `null`: it names none, and the signer makes keys for every domain. */
  readonly configured: {
    readonly keys: readonly LoadedKey[]
    readonly derive: (domain: string) => readonly LoadedKey[]
  } | null
  /** Records that were at the names of configured keys before. */
  readonly earlier: readonly string[]
  readonly log: Log
  readonly now: () => number
  readonly random: (octets: number) => Uint8Array
  /** What can be signed with may be another than before. */
  readonly changed?: () => void
}

/** What another process of this service signs by. It has private keys: it goes nowhere else. */
export interface KeySnapshot {
  readonly keys: readonly Key[]
  /** Of those that sign: name and PEM (PKCS #8). */
  readonly pems: readonly (readonly [name: string, pem: string])[]
  readonly unreadable: readonly (readonly [name: string, reason: string])[]
}

/** What is to be done with a message. */
export type Decision =
  | { readonly kind: 'sign'; readonly keys: readonly SigningKey[] }
  /** Its domains say that they are not signed. */
  | { readonly kind: 'pass' }
  | { readonly kind: 'defer'; readonly reason: string }

interface View {
  readonly commit: string
  readonly keys: ReadonlyMap<string, readonly SigningKey[]>
  readonly never: ReadonlySet<string>
  readonly domains: ReadonlySet<string>
}

const DAY_MS = 86_400_000

export class Keyring {
  readonly #options: KeyringOptions
  readonly #private = new Map<string, KeyObject>()
  /** Why a private key cannot be had, by name. */
  readonly #unreadable = new Map<string, string>()
  readonly #derived = new Map<string, readonly LoadedKey[]>()
  #keys: readonly Key[]
  #byName: ReadonlyMap<string, Key> = new Map()
  #view: View | null = null
  #unsaved = false

  /** @throws FileError when the state cannot be understood */
  constructor(options: KeyringOptions) {
    this.#options = options
    this.#keys = options.folder.load()
    this.#set(this.#keys)
    this.refresh()
  }

  /** Of a new key, where a request names none. */
  get algorithms(): readonly Algorithm[] {
    return this.#options.algorithms
  }

  get keys(): readonly Key[] {
    return this.#keys
  }

  find(id: KeyId): Key | undefined {
    return this.#byName.get(nameOf(id))
  }

  #set(keys: readonly Key[]): void {
    this.#keys = keys
    this.#byName = new Map(keys.map(key => [nameOf(key), key]))
    this.#changed()
  }

  #changed(): void {
    this.#view = null
    this.#options.changed?.()
  }

  snapshot(): KeySnapshot {
    const pems = [...this.#private].flatMap(([name, key]) => {
      if (this.#byName.get(name)?.stage !== 'active') return []
      return [[name, key.export({ type: 'pkcs8', format: 'pem' }).toString()] as const]
    })
    return { keys: this.#keys, pems, unreadable: [...this.#unreadable] }
  }

  /** All is as it is in the process that looks after the keys. */
  take({ keys, pems, unreadable }: KeySnapshot): void {
    this.#private.clear()
    for (const [name, pem] of pems) this.#private.set(name, createPrivateKey(pem))
    this.#unreadable.clear()
    for (const [name, reason] of unreadable) this.#unreadable.set(name, reason)
    this.#set(keys)
  }

  /** All domains that are to be signed for: the deployment's and the directory's, but for those that say never. */
  domains(): string[] {
    const { domain, rules } = this.#options
    const { domains, signing } = rules()
    return [...new Set([domain, ...domains])].filter(name => signing.get(name)?.never !== true)
  }

  /**
   * What happens next to the keys, from what has happened. `durable`: it is on disk, or an error is thrown and nothing has
   * changed; otherwise a disk that is full is an alarm, and mail goes on.
   */
  apply(event: Event, how: { readonly durable?: boolean; readonly outcome?: string } = {}): void {
    const { settings, now, log, folder } = this.#options
    const { keys, transitions } = step(this.#keys, event, settings, now())
    if (this.#unsaved || !sameKeys(keys, this.#keys)) {
      try {
        folder.save(keys)
        this.#unsaved = false
      } catch (error) {
        if (how.durable) throw error
        if (!this.#unsaved)
          log.event('alarm', { about: 'key state', reason: (error as Error).message }, 'error')
        this.#unsaved = true
      }
    }
    this.#set(keys)
    for (const { key, from } of transitions) {
      const isWorse = from === 'active' && (key.stage === 'pending' || key.stage === 'published')
      const facts = { ...factsOf(key), state: key.stage, from, record: how.outcome, reason: key.reason }
      log.event('key', facts, isWorse || key.forbidden ? 'warn' : 'info')
      if (key.stage === 'revoked' || key.stage === 'removed') this.#forget(key)
    }
  }

  /** The private half goes first where it is ours to delete: after this nobody signs with it. */
  #forget(key: Key): void {
    this.#private.delete(nameOf(key))
    this.#unreadable.delete(nameOf(key))
    if (key.origin === 'generated') this.#options.folder.destroyPrivate(key)
  }

  /** Brings the keys in line with ptt.toml, the directory and the files: when it starts, and before it looks at DNS. */
  refresh(): void {
    const { configured, domain } = this.#options
    const wanted = this.#configuredKeys()
    for (const loaded of wanted) this.#configure(loaded)
    const named = new Set(wanted.map(({ key }) => nameOf(idOf(key))))
    const domains = new Set(this.domains())
    for (const key of this.#keys.filter(isLive)) {
      if (key.origin === 'configured' && !named.has(nameOf(key)))
        this.apply({ kind: 'retired', id: key, reason: 'ptt.toml does not name it any more' })
      if (key.origin === 'generated' && !domains.has(key.domain))
        this.apply({ kind: 'retired', id: key, reason: `${key.domain} is not signed for any more` })
    }
    if (configured === null) this.#adopt({ domain, selector: this.#options.selector })
    for (const key of this.#keys) if (key.origin === 'generated' && isLive(key)) this.#read(key)
    this.#changed()
  }

  #configuredKeys(): readonly LoadedKey[] {
    const { configured } = this.#options
    if (configured === null) return []
    const derived = this.domains().flatMap(domain => {
      const keys = this.#derived.get(domain) ?? configured.derive(domain)
      this.#derived.set(domain, keys)
      return keys
    })
    return [...configured.keys, ...derived]
  }

  #configure({ key, record }: LoadedKey): void {
    const { domain, earlier } = this.#options
    const id = idOf(key)
    const there = this.find(id)
    if (there?.record === record) {
      if (there.forbidden)
        this.#unreadable.set(nameOf(id), 'its key was revoked by command: put another one in ptt.toml')
      else this.#private.set(nameOf(id), key.privateKey)
      if (there.forbidden || isLive(there)) return
    }
    const before = there === undefined ? [] : [there.record, ...there.replaces, revokedRecordOf(there.record)]
    const replaces = [...new Set([...before, ...(id.domain === domain ? earlier : [])])]
    this.#private.set(nameOf(id), key.privateKey)
    const { algorithm } = key
    const added = { ...id, algorithm, record, origin: 'configured', unasked: false, replaces } as const
    if (there?.record === record) this.#drop(there)
    this.apply({ kind: 'added', key: added, reason: 'ptt.toml names it' })
  }

  /** A key that had been taken out of ptt.toml and is named again: its life begins anew. */
  #drop(key: Key): void {
    this.#set(this.#keys.filter(other => other !== key))
  }

  /** The key that was made for the deployment before the signer made keys itself. */
  #adopt(id: KeyId): void {
    const { folder, earlier } = this.#options
    if (!folder.hasPrivate(id) || this.find(id) !== undefined) return
    const privateKey = folder.readPrivate(id)
    const record = formatKeyRecord(privateKey)
    const algorithm = algorithmOf(privateKey)
    const key = { ...id, algorithm, record, origin: 'generated', unasked: false, replaces: earlier } as const
    this.apply({ kind: 'added', key, reason: 'it was in the folder of keys' })
  }

  #read(key: Key): void {
    const name = nameOf(key)
    if (this.#private.has(name)) return
    try {
      const privateKey = this.#options.folder.readPrivate(key)
      if (formatKeyRecord(privateKey) !== key.record) throw new Error(`${name}: its file holds another key`)
      this.#private.set(name, privateKey)
      this.#unreadable.delete(name)
    } catch (error) {
      const reason = (error as Error).message
      if (this.#unreadable.get(name) === reason) return
      this.#unreadable.set(name, reason)
      this.#options.log.event(
        'alarm',
        { about: 'key', outcome: 'unreadable', ...factsOf(key), reason },
        'error',
      )
    }
  }

  /** For which algorithms a domain is to have a new key now. */
  wanted(domain: string): Algorithm[] {
    const { configured, algorithms, settings, now } = this.#options
    // Where ptt.toml names keys, only what was made by command is replaced in time.
    const made = this.#keys.filter(key => key.domain === domain && key.origin === 'generated' && isLive(key))
    const needed = configured === null ? algorithms : [...new Set(made.map(({ algorithm }) => algorithm))]
    return wanting(this.#keys, domain, needed, settings, now())
  }

  /** A name for a new key that none has or had. */
  newSelector(domain: string, algorithm: Algorithm): { selector: string; unasked: boolean } {
    const { selector, selectorTemplate, rules, now, random } = this.#options
    const template = rules().signing.get(domain)?.selectorTemplate ?? selectorTemplate
    const taken = (name: string): boolean => this.find({ domain, selector: name }) !== undefined
    return makeSelector(template, { selector, algorithm, nowMs: now(), random, taken })
  }

  /** Takes in a key that was made; it is on disk, both halves, when this returns. @throws FileError */
  add(id: KeyId & { readonly unasked: boolean }, privateKey: KeyObject, reason: string): void {
    const { folder } = this.#options
    const record = formatKeyRecord(privateKey)
    const algorithm = algorithmOf(privateKey)
    folder.writePrivate(id, privateKey)
    const key = { ...id, algorithm, record, origin: 'generated', replaces: [] } as const
    try {
      this.apply({ kind: 'added', key, reason }, { durable: true })
    } catch (error) {
      folder.destroyPrivate(id)
      throw error
    }
    this.#private.set(nameOf(id), privateKey)
    this.#changed()
  }

  /** Which domains answer for what they send: each author's closest of these. */
  signingDomains(): ReadonlySet<string> {
    return this.#current().domains
  }

  /** Whether there is any domain whose messages can go on. */
  get isReady(): boolean {
    const { keys, never } = this.#current()
    return keys.size > 0 || never.size > 0
  }

  /** What to do with a message of these domains, of `signingDomains`. */
  decide(domains: readonly string[]): Decision {
    const { keys, never } = this.#current()
    const all: SigningKey[] = []
    for (const domain of domains) {
      const own = keys.get(domain)
      if (own !== undefined) all.push(...own)
      else if (!never.has(domain)) return { kind: 'defer', reason: this.reason(domain) }
    }
    return all.length > 0 ? { kind: 'sign', keys: all } : { kind: 'pass' }
  }

  /** Why nothing is signed for a domain. */
  reason(domain: string): string {
    const own = this.#keys.filter(key => key.domain === domain)
    for (const key of own) {
      const trouble = this.#unreadable.get(nameOf(key))
      if (trouble !== undefined && (isLive(key) || key.forbidden)) return trouble
    }
    const [live] = own.filter(isLive)
    return live === undefined ? `${domain} has no key yet` : `${nameOf(live)}: ${live.reason}`
  }

  /** Something of these keys is on its way, and may be verified until then. Before it is signed. */
  signed(keys: readonly SigningKey[], untilMs: number): void {
    for (const { id, untilMs: rounded } of this.news(keys, untilMs))
      this.apply({ kind: 'signed', id, untilMs: rounded })
  }

  /** What `signed` has to write down. */
  news(keys: readonly SigningKey[], untilMs: number): { id: KeyId; untilMs: number }[] {
    // Rounded, so that it is not written for every message.
    const grainMs = Math.min(Math.max(this.#options.settings.lifetimeMs / 10, 1000), DAY_MS)
    const rounded = Math.ceil(untilMs / grainMs) * grainMs
    return keys.flatMap(key => {
      const known = this.find(idOf(key))
      if (known === undefined || known.neededUntilMs >= rounded) return []
      return [{ id: { domain: known.domain, selector: known.selector }, untilMs: rounded }]
    })
  }

  #current(): View {
    const rules = this.#options.rules()
    if (this.#view !== null && this.#view.commit === rules.commit) return this.#view
    const never = new Set([...rules.signing].flatMap(([domain, { never: is }]) => (is ? [domain] : [])))
    const keys = new Map<string, readonly SigningKey[]>()
    for (const domain of new Set(this.#keys.map(key => key.domain))) {
      const own = signingKeys(this.#keys, domain).flatMap(key => {
        const privateKey = this.#private.get(nameOf(key))
        const { selector, algorithm } = key
        return privateKey === undefined ? [] : [{ signingDomain: domain, selector, algorithm, privateKey }]
      })
      if (own.length > 0 && !never.has(domain)) keys.set(domain, own)
    }
    // One that waits for its key is signed for by the one above it, as DMARC allows (RFC 9989, relaxed alignment).
    const above = (domain: string): boolean => [...keys.keys()].some(one => domain.endsWith(`.${one}`))
    const waiting = this.#waitingDomains().filter(domain => !keys.has(domain) && !above(domain))
    const domains = new Set([...keys.keys(), ...never, ...waiting])
    this.#view = { commit: rules.commit, keys, never, domains }
    return this.#view
  }

  /** Those that have a key, or will. */
  #waitingDomains(): string[] {
    const has = new Set(this.#keys.flatMap(key => (isLive(key) || key.forbidden ? [key.domain] : [])))
    return this.domains().filter(domain => this.#options.configured === null || has.has(domain))
  }
}

/** Nothing to save: what is known of each key is the same. */
function sameKeys(some: readonly Key[], others: readonly Key[]): boolean {
  return some.length === others.length && some.every((key, at) => key === others[at] || same(key, others[at]))
}

function same(key: Key, other: Key | undefined): boolean {
  const facts = Object.keys(key) as (keyof Key)[]
  return other !== undefined && facts.every(fact => String(key[fact]) === String(other[fact]))
}

function idOf({ signingDomain, selector }: SigningKey): KeyId {
  return { domain: signingDomain, selector }
}

/** What every event about a key says. */
export function factsOf({
  domain,
  selector,
  algorithm,
}: Key): Record<'domain' | 'selector' | 'algorithm', string> {
  return { domain, selector, algorithm }
}
