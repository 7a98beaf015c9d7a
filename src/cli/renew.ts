/**
 * `ptt init --renew-hops`: new certificates and keys for the services from the deployment's authority. Where there is
 * no authority any more, a new one as well.
 *
 * HOLDS the authority's private key while it runs.
 */

import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { putInPlace, writeBeside } from '../config/whole-file.ts'
import type { KeyPair } from '../net/tls.ts'
import { authorityName, issue, makeAuthority } from './authority.ts'
import { SERVICES } from './service.ts'

/** The private key of the hop CA: beside its certificate. Services never read it. */
export function authorityKeyOf({ hop }: Config): string {
  return join(dirname(hop.ca), 'ca.key')
}

/**
 * The paths written. A service that starts between the two of a pair finds that they do not match and says so; those
 * that run keep what they have until they are restarted.
 */
export async function renewHops(config: Config, nowMs: number): Promise<string[]> {
  const authorityKey = authorityKeyOf(config)
  const anew = !existsSync(config.hop.ca) && !existsSync(authorityKey)
  const authority = anew ? await makeAuthority(config.domain, nowMs) : readAuthority(config, nowMs)
  const files: [path: string, text: string, mode: number][] = []
  const add = ({ certificate, key }: KeyPair, certificatePath: string, keyPath: string) => {
    files.push([keyPath, key, 0o600], [certificatePath, certificate, 0o644])
  }
  if (anew) add(authority, config.hop.ca, authorityKey)
  for (const role of SERVICES) {
    add(await issue(authority, { role }, nowMs), config[role].hopCertificate, config[role].hopKey)
  }
  const { certificate, key } = config.submission
  const names = namesOfOurs(certificate, config.domain)
  if (names) add(await issue(authority, { names }, nowMs), certificate, key)

  for (const [path, text, mode] of files) {
    mkdirSync(dirname(path), { recursive: true })
    writeBeside(path, text, mode)
  }
  const paths = files.map(([path]) => path)
  putInPlace(...paths)
  return paths
}

function readAuthority(config: Config, nowMs: number): KeyPair {
  const authorityKey = authorityKeyOf(config)
  if (!existsSync(authorityKey)) {
    throw new Error(`the key of the CA is not here (${authorityKey}): run this where \`ptt init\` was run`)
  }
  const authority = { certificate: readPem(config.hop.ca), key: readSecret(authorityKey) }
  const { validToDate } = new X509Certificate(authority.certificate)
  if (validToDate.getTime() <= nowMs) {
    const remedy = `move ${config.hop.ca} and ${authorityKey} away and run this again: every service must be restarted with the new ones`
    throw new Error(`the CA expired on ${validToDate.toISOString().slice(0, 10)}: ${remedy}`)
  }
  return authority
}

/** The names of submission's certificate when it is one that `ptt init` made, not one the operator put there. */
function namesOfOurs(path: string, domain: string): [string, ...string[]] | undefined {
  if (!existsSync(path)) return undefined
  const { issuer, subjectAltName = '' } = new X509Certificate(readPem(path))
  const [first, ...others] = subjectAltName.split(', ').map(name => name.replace(/^(?:DNS|IP Address):/, ''))
  const ours = issuer === `O=ptt\nCN=${authorityName(domain)}`
  return ours && first ? [first, ...others] : undefined
}
