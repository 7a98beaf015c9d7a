/** sslscan: which protocols, ciphers and groups a server takes, and what is wrong with them. */

import assert from 'node:assert/strict'
import { which } from './need.ts'
import { run } from './program.ts'

export interface Scan {
  /** `tls 1.2` */
  readonly protocols: readonly string[]
  /** `TLSv1.2 ECDHE-RSA-AES128-SHA` */
  readonly ciphers: readonly string[]
  readonly groups: readonly string[]
  /** What sslscan would print in red or yellow. */
  readonly complaints: readonly string[]
}

type Attributes = Readonly<Record<string, string>>

/** @param starttls false: TLS from the first octet */
export async function sslscan(port: number, starttls: boolean): Promise<Scan> {
  const how = starttls ? ['--starttls-smtp'] : []
  const args = ['--xml=-', '--no-colour', ...how, `127.0.0.1:${port}`]
  const { code, output } = await run(which('sslscan') ?? 'sslscan', args)
  assert.equal(code, 0, output)
  assert.doesNotMatch(output, /<error>/)
  const all = (element: string): Attributes[] =>
    [...output.matchAll(new RegExp(`<${element} ([^>]*)>`, 'g'))].map(([, text = '']) =>
      Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value])),
    )
  const protocols = all('protocol').filter(({ enabled }) => enabled === '1')
  const ciphers = all('cipher')
  const groups = all('group')
  assert.ok(protocols.length > 0 && ciphers.length > 0, output)
  const named = (protocol: Attributes) => `${protocol.type} ${protocol.version}`
  const ofCipher = (cipher: Attributes) => `${cipher.sslversion} ${cipher.cipher}`
  return {
    protocols: protocols.map(named),
    ciphers: ciphers.map(ofCipher),
    groups: groups.map(({ name = '' }) => name),
    complaints: [
      ...protocols.map(named).filter(name => name !== 'tls 1.2' && name !== 'tls 1.3'),
      // It calls none of TLS 1.3 more than acceptable, and of TLS 1.2 what is not authenticated encryption.
      ...ciphers
        .filter(
          ({ strength, sslversion }) =>
            strength !== 'strong' && !(strength === 'acceptable' && sslversion === 'TLSv1.3'),
        )
        .map(cipher => `${ofCipher(cipher)}: ${cipher.strength}`),
      ...groups.filter(({ bits }) => Number(bits) < 128).map(({ name, bits }) => `${name}: ${bits} bits`),
      ...all('heartbleed').flatMap(({ vulnerable }) => (vulnerable === '0' ? [] : ['heartbleed'])),
      ...all('compression').flatMap(({ supported }) => (supported === '0' ? [] : ['compression'])),
      ...all('renegotiation').flatMap(({ supported, secure }) =>
        supported === '1' && secure !== '1' ? ['insecure renegotiation'] : [],
      ),
    ],
  }
}
