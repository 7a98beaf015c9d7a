/** mailauth as a verifier, in this process. */

import { Resolver } from 'node:dns/promises'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import type { KeyRecords, Verdicts } from './dkim-verdict.ts'

/** Signature by signature, its DNS a table. */
export async function verdictsOfMailauth(
  messages: readonly Uint8Array[],
  records: KeyRecords,
): Promise<Verdicts[]> {
  const resolver = async (name: string, type: string) => {
    const record = records[name]
    if (type !== 'TXT' || record === undefined) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[record]]
  }
  const all: Verdicts[] = []
  for (const message of messages) {
    const verdicts = new Map<string, string>()
    const { results } = await dkimVerify(Buffer.from(message), { resolver })
    for (const { selector = '', signingDomain, status } of results) {
      if (records[`${selector}._domainkey.${signingDomain}`] === undefined) continue
      verdicts.set(selector, status.result === 'pass' ? 'pass' : `fail: ${status.comment}`)
    }
    all.push(verdicts)
  }
  return all
}

/** `pass`, or `fail: ` and why, for the signature of `domain`. The key is looked up at 127.0.0.1 on `dnsPort`. */
export async function verifyWithMailauth(
  messages: readonly Uint8Array[],
  domain: string,
  dnsPort: number,
): Promise<string[]> {
  const dns = new Resolver()
  dns.setServers([`127.0.0.1:${dnsPort}`])
  const resolver = (name: string) => dns.resolveTxt(name)
  const verdicts: string[] = []
  for (const message of messages) {
    const { results } = await dkimVerify(Buffer.from(message), { resolver })
    const own = results.find(({ signingDomain }) => signingDomain === domain)
    verdicts.push(own?.status.result === 'pass' ? 'pass' : `fail: ${own?.status.comment}`)
  }
  return verdicts
}
