/** What the messages of each domain are signed with, as keys and directory are at one moment: pure, made anew when they change. */

import type { SigningKey } from '../dkim/sign.ts'
import { isLive, type Key, nameOf, signingKeys } from './life-cycle.ts'
import type { PrivateKeys } from './private-keys.ts'

/** What the directory says of signing. */
export interface DomainRules {
  readonly commit: string
  readonly domains: ReadonlySet<string>
  /** Of those domains whose domain.toml says something. */
  readonly signing: ReadonlyMap<string, { readonly never: boolean; readonly selectorTemplate?: string }>
}

/** What is to be done with a message. */
export type Decision =
  | { readonly kind: 'sign'; readonly keys: readonly SigningKey[] }
  /** Its domains say that they are not signed. */
  | { readonly kind: 'pass' }
  | { readonly kind: 'defer'; readonly reason: string }

export interface Standing {
  readonly keys: readonly Key[]
  readonly privateKeys: Pick<PrivateKeys, 'get' | 'troubleOf'>
  readonly rules: DomainRules
  /** The deployment's domain. */
  readonly domain: string
  /** The signer makes keys for every domain, so that those without one have only to wait for it. */
  readonly makesAll: boolean
}

/** All domains that are to be signed for: the deployment's and the directory's, but for those that say never. */
export function domainsToSign(domain: string, { domains, signing }: DomainRules): string[] {
  return [...new Set([domain, ...domains])].filter(name => signing.get(name)?.never !== true)
}

export class SigningView {
  /** Of the directory. */
  readonly commit: string
  /** Which domains answer for what they send: each author's closest of these. */
  readonly domains: ReadonlySet<string>
  readonly #standing: Standing
  readonly #keys: ReadonlyMap<string, readonly SigningKey[]>
  readonly #never: ReadonlySet<string>

  constructor(standing: Standing) {
    const { signing, commit } = standing.rules
    this.commit = commit
    this.#standing = standing
    this.#never = new Set([...signing].flatMap(([domain, { never }]) => (never ? [domain] : [])))
    this.#keys = keysByDomain(standing, this.#never)
    // One that waits for its key is signed for by the one above it, as DMARC allows (RFC 9989, relaxed alignment).
    const above = (domain: string): boolean => [...this.#keys.keys()].some(one => domain.endsWith(`.${one}`))
    const waiting = waitingDomains(standing).filter(domain => !this.#keys.has(domain) && !above(domain))
    this.domains = new Set([...this.#keys.keys(), ...this.#never, ...waiting])
  }

  /** Whether there is any domain whose messages can go on. */
  get isReady(): boolean {
    return this.#keys.size > 0 || this.#never.size > 0
  }

  /** What to do with a message of these domains, of `domains`. */
  decide(domains: readonly string[]): Decision {
    const all: SigningKey[] = []
    for (const domain of domains) {
      const own = this.#keys.get(domain)
      if (own !== undefined) all.push(...own)
      else if (!this.#never.has(domain)) return { kind: 'defer', reason: this.reason(domain) }
    }
    return all.length > 0 ? { kind: 'sign', keys: all } : { kind: 'pass' }
  }

  /** Why nothing is signed for a domain. */
  reason(domain: string): string {
    const { keys, privateKeys } = this.#standing
    const own = keys.filter(key => key.domain === domain)
    for (const key of own) {
      const trouble = privateKeys.troubleOf(key)
      if (trouble !== undefined && (isLive(key) || key.forbidden)) return trouble
    }
    const [live] = own.filter(isLive)
    return live === undefined ? `${domain} has no key yet` : `${nameOf(live)}: ${live.reason}`
  }
}

function keysByDomain(
  { keys, privateKeys }: Standing,
  never: ReadonlySet<string>,
): ReadonlyMap<string, readonly SigningKey[]> {
  const found = new Map<string, readonly SigningKey[]>()
  for (const domain of new Set(keys.map(key => key.domain))) {
    const own = signingKeys(keys, domain).flatMap(key => {
      const privateKey = privateKeys.get(key)
      const { selector, algorithm } = key
      return privateKey === undefined ? [] : [{ signingDomain: domain, selector, algorithm, privateKey }]
    })
    if (own.length > 0 && !never.has(domain)) found.set(domain, own)
  }
  return found
}

/** Those that have a key, or will. */
function waitingDomains({ keys, rules, domain, makesAll }: Standing): string[] {
  const has = new Set(keys.flatMap(key => (isLive(key) || key.forbidden ? [key.domain] : [])))
  return domainsToSign(domain, rules).filter(name => makesAll || has.has(name))
}
