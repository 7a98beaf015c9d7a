/** What the DANE matrix runs against: certificates of every kind, and a Postfix that shows them, one kind at each address. */

import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issue, selfSigned } from '../../src/cli/authority.ts'
import type { KeyPair } from '../../src/net/tls.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { run, temporaryFolder } from '../peers/program.ts'

const DAY_MS = 86_400_000

export interface Certificates {
  readonly root: KeyPair
  readonly intermediate: KeyPair
  /** What each server shows, its own first. */
  readonly shown: Readonly<Record<ServerName, readonly KeyPair[]>>
}

/** Where each kind of server is. */
export const AT = {
  good: '127.0.0.1',
  otherName: '127.0.0.2',
  expired: '127.0.0.3',
  lone: '127.0.0.4',
  selfSigned: '127.0.0.5',
  deep: '127.0.0.6',
  nextHop: '127.0.0.7',
  partialWildcard: '127.0.0.8',
  clientOnly: '127.0.0.9',
  tooDeep: '127.0.0.10',
  noTls: '127.0.0.11',
  brokenTls: '127.0.0.12',
  nobody: '127.0.0.13',
} as const
export type ServerName = Exclude<keyof typeof AT, 'noTls' | 'brokenTls' | 'nobody'>

/** All below one root, which may have intermediates; `shallow` may not (RFC 5280 §4.2.1.9). */
export async function makeCertificates(): Promise<Certificates> {
  const nowMs = Date.now()
  const root = await certify('root', ['basicConstraints=critical,CA:TRUE'])
  const intermediate = await certify('intermediate', ['basicConstraints=critical,CA:TRUE'], root)
  const shallow = await certify('shallow', ['basicConstraints=critical,CA:TRUE,pathlen:0'])
  const below = await certify('below', ['basicConstraints=critical,CA:TRUE'], shallow)
  const names = ['*.secure.test', '*.nsec3.test', '*.insecure.test'] as const
  const good = await issue(root, { names }, nowMs)
  const client = ['extendedKeyUsage=clientAuth', 'subjectAltName=DNS:*.secure.test']
  return {
    root,
    intermediate,
    shown: {
      good: [good, root],
      otherName: [await issue(root, { names: ['other.test'] }, nowMs), root],
      // A lifetime is 730 days.
      expired: [await expired(names), root],
      lone: [good],
      selfSigned: [await selfSigned(names, nowMs)],
      deep: [await issue(intermediate, { names }, nowMs), intermediate, root],
      nextHop: [await issue(root, { names: ['next-hop.secure.test'] }, nowMs), root],
      partialWildcard: [await issue(root, { names: ['mx-*.secure.test'] }, nowMs), root],
      clientOnly: [await certify('client', ['basicConstraints=critical,CA:FALSE', ...client], root), root],
      tooDeep: [await issue(below, { names }, nowMs), below, shallow],
    },
  }

  async function expired(all: typeof names): Promise<KeyPair> {
    return issue(root, { names: all }, nowMs - 800 * DAY_MS)
  }
}

/** By OpenSSL, with extensions that `ptt` never gives. Without `issuer` it signs itself. */
async function certify(name: string, extensions: readonly string[], issuer?: KeyPair): Promise<KeyPair> {
  const folder = temporaryFolder('certify')
  const at = (file: string) => join(folder.path, file)
  try {
    if (issuer !== undefined) writeFileSync(at('issuer.pem'), `${issuer.certificate}\n${issuer.key}`)
    const { code, output } = await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-keyout', at('key.pem'), '-out', at('certificate.pem'), '-subj', `/CN=${name}`],
      ...extensions.flatMap(extension => ['-addext', extension]),
      ...(issuer === undefined ? [] : ['-CA', at('issuer.pem'), '-CAkey', at('issuer.pem')]),
    ])
    assert.equal(code, 0, output)
    return {
      certificate: readFileSync(at('certificate.pem'), 'utf8'),
      key: readFileSync(at('key.pem'), 'utf8'),
    }
  } finally {
    folder.remove()
  }
}

/** `3 1 1 ab12…`, the data of a TLSA record for a certificate (RFC 6698 §2.1). */
export function tlsa(
  usage: number,
  selector: number,
  matchingType: number,
  { certificate }: KeyPair,
): string {
  const whole = new X509Certificate(certificate)
  const selected = selector === 0 ? whole.raw : whole.publicKey.export({ type: 'spki', format: 'der' })
  const hash = ['', 'sha256', 'sha512'][matchingType] ?? ''
  const data = hash === '' ? selected : createHash(hash).update(selected).digest()
  return `${usage} ${selector} ${matchingType} ${data.toString('hex')}`
}

export async function startServers(
  { shown }: Certificates,
  port: number,
  domains: readonly string[],
): Promise<Postfix> {
  const folder = temporaryFolder('certificates')
  const chains = Object.entries(shown).map(([name, [own, ...issuers]]) => {
    const file = join(folder.path, `${name}.pem`)
    const chain = [own?.key, own?.certificate, ...issuers.map(({ certificate }) => certificate)]
    writeFileSync(file, chain.join('\n'), { mode: 0o600 })
    return [name as ServerName, file] as const
  })
  const file = Object.fromEntries(chains) as Record<ServerName, string>
  const postfix = await startPostfix({
    port,
    domains,
    parameters: { smtpd_tls_chain_files: file.good, smtpd_client_connection_rate_limit: '0' },
    listeners: {
      ...Object.fromEntries(
        chains
          .filter(([name]) => name !== 'good')
          .map(([name, path]) => [AT[name], [`smtpd_tls_chain_files=${path}`]]),
      ),
      [AT.noTls]: ['smtpd_tls_security_level=none'],
      [AT.brokenTls]: ['smtpd_tls_chain_files=/nowhere'],
    },
  })
  const stop = async () => {
    await postfix.stop()
    folder.remove()
  }
  return { ...postfix, stop }
}
