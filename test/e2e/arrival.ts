/** What arrived, without what the receiver wrote before it; and the public key a verifier finds in DNS. */

import assert from 'node:assert/strict'
import { Resolver } from 'node:dns/promises'
import { keyRecordName } from '../../src/dkim/key-record.ts'
import { type Deployment, DOMAIN } from './deployment.ts'

/** What the relay sent begins with the signature; receivers write LF for CRLF, and what they add before it. */
export function sentPart(stored: Uint8Array | string): Buffer {
  const text = typeof stored === 'string' ? stored : Buffer.from(stored).toString('latin1')
  const start = text.startsWith('DKIM-Signature:') ? 0 : text.indexOf('\nDKIM-Signature:') + 1
  assert.ok(start > 0 || text.startsWith('DKIM-Signature:'), `not signed: ${text.slice(0, 2000)}`)
  return Buffer.from(text.slice(start).replaceAll('\n', '\r\n'), 'latin1')
}

/** A dump of smtp-sink, which adds a line end at the end. */
export function sinkPart(dump: string): Buffer {
  assert.ok(dump.endsWith('\n\n') || dump.endsWith('\n'))
  return sentPart(dump.slice(0, -1))
}

/** Name and text of the key record, asked from the deployment's DNS server as a verifier would. */
export async function publishedKey(deployment: Deployment): Promise<Record<string, string>> {
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${deployment.dns.port}`])
  const name = keyRecordName(deployment.config.signer.selector, DOMAIN)
  const [strings, ...others] = await resolver.resolveTxt(name)
  assert.ok(strings !== undefined && others.length === 0, `one record at ${name}`)
  return { [name]: strings.join('') }
}
