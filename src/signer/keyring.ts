/**
 * The keys of this signer: what is known of each (life-cycle.ts, kept on disk), and where they come from. Every change goes
 * through `apply`, which saves and tells it. What a message is signed with is seen in `signing-view.ts`.
 */

import type { KeyObject } from 'node:crypto'
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
  step,
  wanting,
} from './life-cycle.ts'
import { PrivateKeys, type PrivateSnapshot } from './private-keys.ts'
import { revokedRecordOf } from './publish.ts'
import { makeSelector } from './selector.ts'
import { type Decision, type DomainRules, domainsToSign, SigningView } from './signing-view.ts'

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
export interface KeySnapshot extends PrivateSnapshot {
  readonly keys: readonly Key[]
}

const DAY_MS = 86_400_000

export class Keyring {
  readonly #options: KeyringOptions
  readonly #private: PrivateKeys
  readonly #derived = new Map<string, readonly LoadedKey[]>()
  #keys: readonly Key[]
  #byName: ReadonlyMap<string, Key> = new Map()
  #view: SigningView | null = null
  #unsaved = false

  /** @throws FileError when the state cannot be understood */
  constructor(options: KeyringOptions) {
    this.#options = options
    this.#private = new PrivateKeys(options.folder)
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
    return { keys: this.#keys, ...this.#private.snapshot(name => this.#byName.get(name)?.stage === 'active') }
  }

  /** All is as it is in the process that looks after the keys. */
  take({ keys, ...privateKeys }: KeySnapshot): void {
    this.#private.take(privateKeys)
    this.#set(keys)
  }

  /** `domainsToSign`, of now. */
  domains(): string[] {
    return domainsToSign(this.#options.domain, this.#options.rules())
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
    this.#private.forget(key)
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
        this.#private.refuse(id, 'its key was revoked by command: put another one in ptt.toml')
      else this.#private.set(id, key.privateKey)
      if (there.forbidden || isLive(there)) return
    }
    const before = there === undefined ? [] : [there.record, ...there.replaces, revokedRecordOf(there.record)]
    const replaces = [...new Set([...before, ...(id.domain === domain ? earlier : [])])]
    this.#private.set(id, key.privateKey)
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
    const reason = this.#private.load(key)
    if (reason === null) return
    const facts = { about: 'key', outcome: 'unreadable', ...factsOf(key), reason }
    this.#options.log.event('alarm', facts, 'error')
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
    this.#private.set(id, privateKey)
    this.#changed()
  }

  /** As `SigningView` has it. */
  signingDomains(): ReadonlySet<string> {
    return this.#seen().domains
  }

  get isReady(): boolean {
    return this.#seen().isReady
  }

  decide(domains: readonly string[]): Decision {
    return this.#seen().decide(domains)
  }

  reason(domain: string): string {
    return this.#seen().reason(domain)
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

  #seen(): SigningView {
    const { domain, configured } = this.#options
    const rules = this.#options.rules()
    if (this.#view?.commit !== rules.commit) {
      const [keys, privateKeys] = [this.#keys, this.#private]
      this.#view = new SigningView({ keys, privateKeys, rules, domain, makesAll: configured === null })
    }
    return this.#view
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
