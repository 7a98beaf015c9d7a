/**
 * Verify before send: the first message of each selector and hour is verified as its receivers will do it, with the key
 * that our own resolver sees, and by a library that is not ours. While a signature does not verify, what carries it waits:
 * mail that nobody can verify is sent to spam folders, and that is remembered for long.
 */

import type { Resolver } from '../net/resolver.ts'
import type { Log } from '../observe/event.ts'
import type { StoredContent } from '../queue/queue.ts'
import { wholeOf } from '../queue/stored.ts'

export interface SignatureResult {
  readonly domain: string
  readonly selector: string
  /** RFC 8601 §2.7.1. */
  readonly result: string
  /** Why it is not a pass, in the verifier's words. */
  readonly comment: string
  /** `dkim=pass header.i=…`, as in Authentication-Results. */
  readonly info: string
}

type Keys = Pick<Resolver, 'txt'>

const HOUR_MS = 3600_000
/** How long a bad verdict stands before the next message may look again. */
const LOOK_AGAIN_MS = 60_000
/** Who sends can put fields of his own behind the signer's. */
const MAX_VERDICTS = 1000
/** The signer's fields are the first, and not long. */
const OURS_OCTETS = 16 * 1024

export class SignatureCheck {
  readonly #keys: Keys
  readonly #now: () => number
  readonly #log: Log
  /** By the names of the selectors: until when the verdict stands, and what it was. */
  readonly #verdicts = new Map<
    string,
    { readonly untilMs: number; readonly verdict: Promise<string | null> }
  >()

  constructor(keys: Keys, now: () => number, log: Log) {
    this.#keys = keys
    this.#now = now
    this.#log = log
  }

  /** Why the message has to wait; null: it need not, or it has no signature. */
  async objection(id: string, content: StoredContent): Promise<string | null> {
    const selectors = selectorsOf(content.start)
    if (selectors.length === 0) return null
    const key = selectors.join(' ')
    const nowMs = this.#now()
    const known = this.#verdicts.get(key)
    if (known !== undefined && nowMs < known.untilMs) return known.verdict
    const verdict = this.#verify(id, key, content).catch(error => `it cannot be verified: ${String(error)}`)
    this.#verdicts.set(key, { untilMs: (Math.floor(nowMs / HOUR_MS) + 1) * HOUR_MS, verdict })
    const [oldest] = this.#verdicts.keys()
    if (this.#verdicts.size > MAX_VERDICTS && oldest !== undefined) this.#verdicts.delete(oldest)
    const reason = await verdict
    if (reason !== null) this.#verdicts.set(key, { untilMs: this.#now() + LOOK_AGAIN_MS, verdict })
    return reason
  }

  async #verify(id: string, selectors: string, content: StoredContent): Promise<string | null> {
    const results = await verifySignatures(await wholeOf(content), this.#keys)
    const bad = results.filter(
      ({ domain, selector, result }) =>
        result !== 'pass' && selectors.split(' ').includes(`${selector}._domainkey.${domain}`),
    )
    if (bad.length === 0) {
      this.#log.event('verified', { id, selectors: selectors.split(' ') })
      return null
    }
    const reason = bad
      .map(
        ({ domain, selector, result, comment }) => `${selector}._domainkey.${domain}: ${result}, ${comment}`,
      )
      .join('; ')
    this.#log.event('alarm', { id, about: 'signature', reason }, 'error')
    return reason
  }
}

/** What each signature of a message comes to. */
export async function verifySignatures(content: Uint8Array, keys: Keys): Promise<SignatureResult[]> {
  // When it is wanted: it brings so much with it that the relay would start 40 ms later (measured).
  const { dkimVerify } = await import('mailauth/lib/dkim/verify.js')
  const input = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  const { results } = await dkimVerify(input, { resolver: name => keyRecords(name, keys), strict: true })
  return results.map(({ info, signingDomain, selector, status }) => ({
    domain: signingDomain ?? '',
    selector: selector ?? '',
    result: status.result,
    comment: status.comment || '',
    info: info ?? '',
  }))
}

/** `<selector>._domainkey.<domain>` of the DKIM-Signature fields that stand first: those the signer has put there. */
export function selectorsOf(content: Uint8Array): string[] {
  const start = Buffer.from(content.buffer, content.byteOffset, Math.min(content.length, OURS_OCTETS))
  const [fields = ''] = /^(?:DKIM-Signature:.*(?:\r\n[ \t].*)*\r\n)*/i.exec(start.toString('latin1')) ?? []
  return fields
    .split(/\r\n(?![ \t])/)
    .flatMap(field => {
      const tags = field.replace(/^[^:]*:/, '').replace(/\s+/g, '')
      const selector = /(?:^|;)s=([^;]+)/.exec(tags)?.[1]
      const domain = /(?:^|;)d=([^;]+)/.exec(tags)?.[1]
      return selector === undefined || domain === undefined ? [] : [`${selector}._domainkey.${domain}`]
    })
    .sort()
}

/** TXT records as mailauth wants them: its own codes tell "no such record" from "cannot know" (RFC 6376 §6.1.2). */
async function keyRecords(name: string, keys: Keys): Promise<string[][]> {
  const answer = await keys.txt(name)
  switch (answer.kind) {
    case 'answer':
      return answer.records.map(record => [record])
    case 'nodata':
      throw Object.assign(new Error(`${name} has no TXT record`), { code: 'ENODATA' })
    case 'nxdomain':
      throw Object.assign(new Error(`${name} does not exist`), { code: 'ENOTFOUND' })
    case 'failure':
      throw Object.assign(new Error(answer.reason), { code: answer.code })
  }
}
