/**
 * One order at a CA, RFC 8555: account, order, DNS-01 challenges, finalization. What is proved how, and when anything is
 * asked for, is decided elsewhere.
 */

import { setTimeout as pause } from 'node:timers/promises'
import acme from 'acme-client'
import { AcmeError, problem, type TransportOptions, useTransport } from './acme-transport.ts'

export interface AcmeOptions extends TransportOptions {
  /** The URL of its directory. */
  readonly directory: string
  /** PEM. */
  readonly accountKey: string
  /** RFC 8555 §7.3.4: the customer whose account it becomes; the key is base64url. */
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string } | undefined
}

/** What a CA says of itself, RFC 8555 §7.1.1. */
export interface AcmeMeta {
  readonly termsOfService: string | null
  readonly caaIdentities: readonly string[]
}

/** What proves one name, RFC 8555 §8.4. */
export interface Challenge {
  readonly name: string
  /** `_acme-challenge.<name>`. */
  readonly recordName: string
  /** The TXT value. */
  readonly value: string
  /** Tells the CA to look. */
  ready(): Promise<void>
}

const FIRST_POLL_MS = 500
const LONGEST_POLL_MS = 10_000
/** What a CA may take to look at a challenge, or to sign. */
const PATIENCE_MS = 5 * 60_000

export class AcmeSession {
  readonly #client: InstanceType<typeof acme.Client>
  readonly #options: AcmeOptions
  readonly #host: string

  constructor(options: AcmeOptions) {
    useTransport(options)
    const { directory, accountKey, externalAccount } = options
    this.#options = options
    this.#host = new URL(directory).host
    const binding = externalAccount === undefined ? {} : { externalAccountBinding: externalAccount }
    this.#client = new acme.Client({ directoryUrl: directory, accountKey, ...binding })
  }

  /** @throws AcmeError */
  async meta(): Promise<AcmeMeta> {
    const { data } = await acme.axios.get<unknown>(this.#options.directory)
    const directory = data as {
      newOrder?: unknown
      meta?: { termsOfService?: unknown; caaIdentities?: unknown }
    }
    if (typeof directory?.newOrder !== 'string') {
      throw new AcmeError('unknown', `${this.#options.directory} is not an ACME directory: check its URL`)
    }
    const { termsOfService, caaIdentities } = directory.meta ?? {}
    return {
      termsOfService: typeof termsOfService === 'string' ? termsOfService : null,
      caaIdentities: Array.isArray(caaIdentities)
        ? caaIdentities.filter(identity => typeof identity === 'string')
        : [],
    }
  }

  /**
   * The URL of the account of our key, which is made where there is none yet (RFC 8555 §7.3.1).
   *
   * @throws AcmeError
   */
  async account(contact: string | undefined, termsOfServiceAgreed: boolean): Promise<string> {
    const to = contact === undefined ? {} : { contact: [`mailto:${contact}`] }
    try {
      // Asked for, and not made again in the same request: CAs limit how many accounts there may be.
      const account = await this.#client.createAccount({ onlyReturnExisting: true })
      if (to.contact !== undefined && account.contact?.join() !== to.contact.join()) {
        await this.#client.updateAccount(to)
      }
    } catch (error) {
      if (!(error instanceof AcmeError) || error.type !== 'accountDoesNotExist') throw error
      await this.#client.createAccount({ ...(termsOfServiceAgreed ? { termsOfServiceAgreed } : {}), ...to })
    }
    return this.#client.getAccountUrl()
  }

  /** @throws AcmeError */
  async order(names: readonly string[]): Promise<AcmeOrder> {
    const identifiers = names.map(value => ({ type: 'dns', value }))
    const order = await this.#client.createOrder({ identifiers })
    return new AcmeOrder(this.#client, order, this.#host, this.#options.signal)
  }
}

type Client = InstanceType<typeof acme.Client>
type RawOrder = Awaited<ReturnType<Client['createOrder']>>

export class AcmeOrder {
  readonly #client: Client
  readonly #host: string
  readonly #signal: AbortSignal
  #order: RawOrder

  constructor(client: Client, order: RawOrder, host: string, signal: AbortSignal) {
    this.#client = client
    this.#order = order
    this.#host = host
    this.#signal = signal
  }

  /** Those that are to be met: a CA may remember that a name was proved a while ago. @throws AcmeError */
  async challenges(): Promise<Challenge[]> {
    const authorizations = await this.#client.getAuthorizations(this.#order)
    const open = authorizations.filter(({ status }) => status !== 'valid')
    return Promise.all(
      open.map(async ({ identifier: { value: name }, challenges }) => {
        const challenge = challenges.find(({ type }) => type === 'dns-01')
        if (challenge === undefined) {
          throw new AcmeError('unknown', `${this.#host} does not let ${name} be proved by DNS (dns-01)`)
        }
        return {
          name,
          recordName: `_acme-challenge.${name}`,
          value: await this.#client.getChallengeKeyAuthorization(challenge),
          ready: async () => {
            await this.#client.completeChallenge(challenge)
          },
        }
      }),
    )
  }

  /** Resolves when the CA has seen all that was to be proved. @throws AcmeError */
  async proved(): Promise<void> {
    await this.#poll('to look at the TXT record', async () => {
      const authorizations = await this.#client.getAuthorizations(this.#order)
      for (const { status, identifier, challenges } of authorizations) {
        if (status === 'pending' || status === 'valid') continue
        const error = challenges.find(challenge => challenge.error !== undefined)?.error
        throw problem(error, `${this.#host} does not accept the proof for ${identifier.value}`)
      }
      return authorizations.every(({ status }) => status === 'valid') ? true : null
    })
    // RFC 8555 §7.1.6: the order becomes ready after its authorizations have become valid.
    await this.#poll('to make the order ready', async () => {
      this.#order = await this.#client.getOrder(this.#order)
      const { status, error } = this.#order
      if (status === 'invalid') throw problem(error, `${this.#host} gives the order up`)
      return status === 'pending' ? null : true
    })
  }

  /**
   * The chain, PEM, the certificate for `key` first.
   *
   * @param key PEM, of the certificate to be
   * @throws AcmeError
   */
  async finalize(names: readonly string[], key: string): Promise<string> {
    const [, csr] = await acme.crypto.createCsr({ altNames: [...names] }, key)
    this.#order = await this.#client.finalizeOrder(this.#order, csr)
    const order = await this.#poll('to sign', async () => {
      if (this.#order.status !== 'valid') this.#order = await this.#client.getOrder(this.#order)
      const { status, error } = this.#order
      if (status === 'invalid') throw problem(error, `${this.#host} does not issue the certificate`)
      return status === 'valid' ? this.#order : null
    })
    return this.#client.getCertificate(order)
  }

  async #poll<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
    const startedMs = performance.now()
    for (let waitMs = FIRST_POLL_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_POLL_MS)) {
      const found = await ask()
      if (found !== null) return found
      if (performance.now() - startedMs > PATIENCE_MS) {
        throw new AcmeError('network', `${this.#host} takes longer than ${PATIENCE_MS} ms ${what}`)
      }
      await pause(waitMs, undefined, { signal: this.#signal })
    }
  }
}
