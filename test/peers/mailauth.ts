/** mailauth as a verifier, in this process; it asks DNS itself. */

import { Resolver } from 'node:dns/promises'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'

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
