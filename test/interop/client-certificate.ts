/** Certificates of clients, and a CA for them. */

import { KeyObject, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { KeyPair } from '../../src/net/tls.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 24 * 3600 * 1000

export interface ClientCa {
  readonly certificate: string
  /** For these names: `email` are rfc822Names, `dns` others. */
  issue(names: { readonly email?: readonly string[]; readonly dns?: readonly string[] }): Promise<KeyPair>
}

export async function makeClientCa(name: string): Promise<ClientCa> {
  const keys = await makeKeys()
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    ...validity(),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  })
  return {
    certificate: `${ca.toString('pem')}\n`,
    async issue({ email = [], dns = [] }) {
      const own = await makeKeys()
      const certificate = await x509.X509CertificateGenerator.create({
        // Nobody looks at it.
        subject: 'CN=alice@example.test',
        issuer: ca.subject,
        ...validity(),
        signingAlgorithm: ALGORITHM,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
          new x509.SubjectAlternativeNameExtension([
            ...email.map(value => ({ type: 'email', value }) as const),
            ...dns.map(value => ({ type: 'dns', value }) as const),
          ]),
        ],
      })
      const key = KeyObject.from(own.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
      return { certificate: `${certificate.toString('pem')}\n`, key }
    },
  }
}

const makeKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

const validity = () => ({ notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) })
