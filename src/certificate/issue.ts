/**
 * One certificate, from the look at CAA to the pair: every step is an event, and what fails is a value that says which step it
 * was and when the CA may be asked again.
 */

import type { Log } from '../observe/event.ts'
import { AcmeSession, type Challenge } from './acme.ts'
import { AcmeError } from './acme-transport.ts'
import { type CaaLookup, checkCaa } from './caa.ts'
import {
  addValue,
  type DnsDoor,
  locate,
  type Place,
  removeValue,
  seenEverywhere,
} from './challenge-record.ts'
import { newKey } from './store.ts'

export interface IssueOptions {
  /** The URL of the ACME directory. */
  readonly directory: string
  /** PEM. */
  readonly accountKey: string
  /** PEM of the CA of the ACME server itself. */
  readonly ca?: string | undefined
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string } | undefined
  readonly contact?: string | undefined
  readonly termsAgreed: boolean
  /** What the CA is called in CAA records, where its directory does not say. */
  readonly caaIdentities: readonly string[]
  readonly names: readonly string[]
  readonly keyType: 'ecdsa-p256' | 'rsa-2048'
  readonly door: DnsDoor
  /** Called before a value is published and after it was removed: a crash between must not leave it there for good. */
  readonly remember: (records: readonly Published[]) => void
  /** Values of an earlier attempt that are still to be removed. */
  readonly leftOver: readonly Published[]
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: Log
}

export type Published = Place & { readonly value: string }

export type Step = 'directory' | 'account' | 'caa' | 'order' | 'dns' | 'proof' | 'signature'

export type Outcome =
  | { readonly kind: 'issued'; readonly certificate: string; readonly key: string }
  | {
      readonly kind: 'failed'
      readonly step: Step
      /** For the operator: what happened, and what to do. */
      readonly reason: string
      readonly rateLimited: boolean
      /** When the CA may be asked again, if it said so; milliseconds since 1970. */
      readonly retryAfterMs?: number | undefined
    }

/** What is not the CA's fault: DNS, CAA, terms. */
class Refusal extends Error {}

export async function issueCertificate(options: IssueOptions): Promise<Outcome> {
  const attempt = new Attempt(options)
  try {
    return await attempt.run()
  } catch (error) {
    const { step } = attempt
    if (error instanceof AcmeError) {
      const { message: reason, type, retryAfterMs } = error
      return { kind: 'failed', step, reason, rateLimited: type === 'rateLimited', retryAfterMs }
    }
    const stopped = options.door.signal.aborted
    if (!(error instanceof Refusal) && !stopped) throw error
    return {
      kind: 'failed',
      step,
      reason: stopped ? 'stopped' : (error as Error).message,
      rateLimited: false,
    }
  } finally {
    await attempt.cleanUp()
  }
}

class Attempt {
  readonly #options: IssueOptions
  readonly #log: Log
  #published: Published[]
  step: Step = 'directory'

  constructor(options: IssueOptions) {
    this.#options = options
    this.#log = options.log
    this.#published = [...options.leftOver]
  }

  async run(): Promise<Outcome> {
    const { contact, termsAgreed, names, keyType, door } = this.#options
    const acme = new AcmeSession({ ...this.#options, signal: door.signal })
    const { termsOfService, caaIdentities } = await acme.meta()
    if (termsOfService !== null && !termsAgreed) {
      throw new Refusal(
        `the CA asks you to agree to its terms of service, ${termsOfService}: read them, and write terms_agreed = true below [certificate]`,
      )
    }

    this.step = 'account'
    const accountUri = await acme.account(contact, termsAgreed)
    this.#tell('account', { account: accountUri })

    // Before the order: one that CAA forbids costs the CA work, and us of what it allows.
    this.step = 'caa'
    const identities = this.#options.caaIdentities.length > 0 ? this.#options.caaIdentities : caaIdentities
    const lookup: CaaLookup = name => door.resolver.query(name, 'CAA', { fresh: true })
    for (const name of names) {
      const verdict = await checkCaa(name, { identities, accountUri }, lookup)
      if (verdict.kind === 'forbidden') throw new Refusal(`CAA forbids it: ${verdict.explanation}`)
      if (verdict.kind === 'failure') throw new Refusal(`the CAA records of ${name}: ${verdict.reason}`)
    }

    this.step = 'order'
    const order = await acme.order(names)
    const challenges = await order.challenges()
    this.#tell('ordered', { names, to_prove: challenges.map(({ name }) => name) })

    this.step = 'dns'
    const places: Published[] = []
    for (const challenge of challenges) places.push(await this.#publish(challenge))
    const missing = (await Promise.all(places.map(place => this.#see(place)))).filter(
      reason => reason !== null,
    )
    if (missing.length > 0) throw new Refusal(missing.join('; '))

    this.step = 'proof'
    for (const challenge of challenges) await challenge.ready()
    await order.proved()
    this.#tell('proved')

    this.step = 'signature'
    const key = newKey(keyType)
    const certificate = await order.finalize(names, key)
    return { kind: 'issued', certificate, key }
  }

  async #publish({ recordName, value }: Challenge): Promise<Published> {
    const { door } = this.#options
    const place = await locate(recordName, door)
    if (place.kind === 'trouble') throw new Refusal(place.reason)
    const { name, zone, primary } = place
    const record = { name, zone, primary, value }
    this.#keep([...this.#published, record])
    const added = await addValue(record, value, door)
    if (added.kind === 'trouble') throw new Refusal(added.reason)
    this.#tell('published', { record: name })
    return record
  }

  /** `null`, or why not every server has it. All are waited for, so that none goes on after the end. */
  async #see(record: Published): Promise<string | null> {
    const seen = await seenEverywhere(record, record.value, this.#options.door)
    if (seen.kind === 'trouble') return seen.reason
    this.#tell('seen', { record: record.name })
    return null
  }

  /** What cannot be removed now is kept in mind for the next attempt. */
  async cleanUp(): Promise<void> {
    for (const published of this.#published) {
      const removed = await removeValue(published, published.value, this.#options.door)
      if (removed.kind === 'done') {
        this.#keep(this.#published.filter(other => other !== published))
        this.#tell('removed', { record: published.name })
      } else {
        const reason = `the TXT record of ${published.name} is not removed yet: ${removed.reason}`
        this.#log.event('alarm', { about: 'certificate', reason }, 'warn')
      }
    }
  }

  #keep(published: Published[]): void {
    this.#published = published
    this.#options.remember(published)
  }

  #tell(state: string, fields: Readonly<Record<string, string | readonly string[]>> = {}): void {
    this.#log.event('certificate', { state, ...fields })
  }
}
