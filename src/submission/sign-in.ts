/** What AUTH needs, as the configuration says it: the mechanisms, the CA of client certificates, the issuer of tokens. */

import { FileError, readJson, readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import type { Directory } from '../directory/directory.ts'
import { Decoys, scramCrypto } from '../directory/scram.ts'
import type { SaslOptions } from '../smtp/sasl.ts'
import { Authenticator } from './authenticate.ts'
import { localKeys, remoteKeys, type TokenKeys, TokenVerifier } from './oauth.ts'

export interface SignIn {
  readonly authenticator: Authenticator
  readonly sasl: SaslOptions
  /** PEM, where certificates of clients are asked for. */
  clientCa(): string | undefined
  /** Reads the files again. @throws FileError */
  reload(): void
}

/** @throws FileError */
export function prepareSignIn({ submission, domain }: Config, directory: () => Directory): SignIn {
  const { hostname, auth, oauth } = submission
  const tokens =
    oauth === undefined ? null : new TokenVerifier({ ...oauth, now: Date.now }, keysOf(oauth.jwks))
  const authenticator = new Authenticator({
    hostname,
    domain,
    directory,
    mechanisms: auth,
    // A secret of the deployment that is here already, and lasts: nothing can be learnt about it from what is made of it.
    decoys: new Decoys(readSecret(submission.hopKey)),
    tokens,
  })
  return {
    authenticator,
    sasl: { scram: scramCrypto, scope: oauth?.scope },
    clientCa: () => (submission.clientCa === undefined ? undefined : readPem(submission.clientCa)),
    reload() {
      // What is fetched is fetched again when it is due.
      if (oauth !== undefined && !isUrl(oauth.jwks)) tokens?.renew(keysOf(oauth.jwks))
    },
  }
}

const isUrl = (jwks: string): boolean => jwks.startsWith('https://')

/** From the file, or to be fetched. @throws FileError */
export function keysOf(jwks: string): TokenKeys {
  if (isUrl(jwks)) return remoteKeys(jwks)
  const document = readJson(jwks)
  try {
    return localKeys(document)
  } catch (cause) {
    throw new FileError(`${jwks}: is not a JSON Web Key Set ({ "keys": […] }, RFC 7517 §5)`, { cause })
  }
}
