/**
 * gsasl of GNU SASL, as a client of a server with STARTTLS: it signs in and leaves. Ends with 0 when it was let in, and,
 * with SCRAM, when the server has proved that it knows the password too.
 */

import { type Finished, run } from './program.ts'

export interface SignIn {
  readonly host?: string
  readonly port: number
  readonly username: string
  readonly password: string
  /** The file that holds the CA's certificate. */
  readonly ca: string
}

/** Without `--mechanism` it takes the best of those offered. */
export async function gsasl(signIn: SignIn, extra: readonly string[] = []): Promise<Finished> {
  const args = [
    ...['--smtp', '--verbose', '--connect', `${signIn.host ?? 'localhost'}:${signIn.port}`],
    ...['--x509-ca-file', signIn.ca],
    ...['--authentication-id', signIn.username, '--password', signIn.password],
  ]
  return run('gsasl', [...args, ...extra])
}

/** A verifier, as `--mkpasswd` makes it: `{SCRAM-SHA-1}<iterations>,<salt>,<StoredKey>,<ServerKey>`. */
export async function gsaslVerifier(
  mechanism: string,
  password: string,
  iterations: number,
): Promise<string> {
  const args = ['--mkpasswd', '--mechanism', mechanism, '--iteration-count', String(iterations)]
  const { output } = await run('gsasl', [...args, '--password', password])
  return output.trim()
}
