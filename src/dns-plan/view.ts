/**
 * The DNS as whoever changes it must see it: what the primary of a zone has, for that is what an update meets, and
 * which of the zone's servers do not have the same.
 */

import type { DnsFailure, Interpretation } from '../dns/answer.ts'
import { sameName } from '../dns/name.ts'
import { type KnownData, txtText } from '../dns/rdata.ts'
import { type AuthorityAnswer, askAuthorities } from '../net/authorities.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { askPrimary } from '../net/nsupdate.ts'
import type { Resolver } from '../net/resolver.ts'
import { type Rr, srvRr, txtRr, type WrittenType } from './finding.ts'
import { Ownership, ownershipName } from './ownership.ts'
import { type Place, type PlaceOptions, Places } from './places.ts'

export interface Seen {
  readonly kind: 'seen'
  readonly zone: string
  /** `null`: it does not answer, and another server was asked; `obstacle` says why. */
  readonly primary: Endpoint | null
  readonly obstacle: string | null
  readonly records: readonly Rr[]
  /** Of the RRset, where there is one. */
  readonly ttlSeconds: number | null
  /** The name is an alias: what is there is somebody else's to say, and here as the resolver has it. */
  readonly alias: { readonly target: string; readonly records: readonly Rr[] } | null
  readonly ownership: Ownership
  /** Servers of the zone that have something else, in words. */
  readonly lagging: readonly string[]
  /** Servers of the zone that do not answer. */
  readonly silent: readonly string[]
}

export interface Unseen {
  readonly kind: 'unseen'
  readonly reason: string
}

type Data = KnownData['TXT'] | KnownData['SRV']
type Found = Exclude<Interpretation<Data>, DnsFailure>
type Answers = readonly AuthorityAnswer<Data>[]

export class View {
  readonly #options: PlaceOptions
  readonly #places: Places

  constructor(options: PlaceOptions) {
    this.#options = options
    this.#places = new Places(options)
  }

  get resolver(): Resolver {
    return this.#options.resolver
  }

  /** The zone that holds a name, and its servers. */
  place(name: string): Promise<Place | DnsFailure> {
    return this.#places.of(name)
  }

  /** What the primary and all servers of the zone have at this name. Nothing is remembered. */
  async look(name: string, type: WrittenType): Promise<Seen | Unseen> {
    const place = await this.place(name)
    if ('kind' in place) return { kind: 'unseen', reason: place.reason }
    const { zone } = place
    const answers: Answers = await askAuthorities(place.authorities, name, type, this.#timeout())
    const source = await this.#source(place, answers, name, type)
    if (source.kind === 'unseen') return source
    const { found, server, primary, obstacle } = source
    const list = await askPrimary(server, ownershipName(zone), 'TXT', this.#timeout())
    if (list.kind === 'failure') return { kind: 'unseen', reason: list.reason }
    const target = aliasOf(found, name)
    const behind = target === null ? null : await this.resolver.query(name, type)
    if (behind?.kind === 'failure') return { kind: 'unseen', reason: behind.reason }
    const records = recordsOf(found, name)
    const seen = { kind: 'seen', zone, primary, obstacle, records } as const
    return {
      ...seen,
      ttlSeconds: records.length > 0 && found.kind === 'answer' ? found.ttlSeconds : null,
      alias:
        target === null
          ? null
          : { target, records: behind?.kind === 'answer' ? behind.records.map(toRr) : [] },
      ownership: new Ownership(recordsOf(list, ownershipName(zone)).map(({ text }) => text)),
      ...compare(answers, name, { target, records }),
    }
  }

  /** The primary, or else the first of the others that answers. */
  async #source(place: Place, answers: Answers, name: string, type: WrittenType) {
    const { primary } = place
    const asked = 'kind' in primary ? primary : await askPrimary(primary, name, type, this.#timeout())
    if (!('kind' in primary) && asked.kind !== 'failure')
      return { kind: 'source', found: asked, server: primary, primary, obstacle: null } as const
    const obstacle = asked.kind === 'failure' ? asked.reason : ''
    for (const { answer, endpoint } of answers) {
      if (answer.kind !== 'failure' && endpoint !== undefined)
        return { kind: 'source', found: answer, server: endpoint, primary: null, obstacle } as const
    }
    return { kind: 'unseen', reason: obstacle } as const
  }

  #timeout() {
    return this.#options.timeoutMs === undefined ? {} : { timeoutMs: this.#options.timeoutMs }
  }
}

/** Who has something else than the source, and who says nothing. */
function compare(
  answers: Answers,
  name: string,
  expected: { readonly target: string | null; readonly records: readonly Rr[] },
): Pick<Seen, 'lagging' | 'silent'> {
  const lagging = new Set<string>()
  const silent = new Set<string>()
  for (const { server, answer } of answers) {
    // An address that cannot be reached from here is no news of the server, if another one is.
    if (answer.kind === 'failure') {
      const others = answers.filter(other => other.server === server && other.answer.kind !== 'failure')
      if (answer.code !== 'NOROUTE' || others.length === 0) silent.add(answer.reason)
      continue
    }
    const records = recordsOf(answer, name)
    if (aliasOf(answer, name) === expected.target && sameRecords(records, expected.records)) continue
    lagging.add(`${server} has ${records.length === 0 ? 'nothing' : 'something else'}`)
  }
  return { lagging: [...lagging], silent: [...silent] }
}

function aliasOf(found: Found, name: string): string | null {
  if (found.kind !== 'alias' && found.kind !== 'answer') return null
  return sameName(found.name, name) ? null : found.name
}

/** Those of the name itself. */
function recordsOf(found: Found, name: string): Rr[] {
  return found.kind === 'answer' && aliasOf(found, name) === null ? found.records.map(toRr) : []
}

export function toRr(data: Data): Rr {
  return 'target' in data ? srvRr(data) : txtRr(txtText(data), data)
}

/** In any order. */
export function sameRecords(some: readonly Rr[], others: readonly Rr[]): boolean {
  const texts = (records: readonly Rr[]): string => JSON.stringify(records.map(({ text }) => text).toSorted())
  return texts(some) === texts(others)
}
