/** One message handed to a submission server as a mail client does it: TLS from the first octet (RFC 8314 §3.3), AUTH, MAIL. */

import { isIP } from 'node:net'
import type { Envelope } from '../smtp/envelope.ts'
import type { Timeouts } from '../smtp/limits.ts'
import { formatReply } from '../smtp/reply.ts'
import type { ScramClientCrypto } from '../smtp/sasl.ts'
import { Connection, ConnectionError } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { deliver, type TransactionReplies } from './transaction.ts'

const CONNECT_MS = 30_000

export interface Account {
  readonly server: Endpoint
  readonly username: string
  readonly password: string
  /** PEM of the CA that is trusted instead of those everybody knows. */
  readonly ca?: string
}

export interface SubmitOptions {
  /** Our name for EHLO. */
  readonly hostname: string
  readonly timeouts: Timeouts
  /** The hashes of SCRAM: where the server has it, the password does not leave this machine. */
  readonly scram: ScramClientCrypto
  readonly signal?: AbortSignal
}

/** @throws ConnectionError when no transaction came about: nobody has the message. A refused AUTH is `refused`, `AUTH`. */
export async function submit(
  account: Account,
  envelope: Envelope,
  content: readonly Uint8Array[],
  options: SubmitOptions,
): Promise<TransactionReplies> {
  const { server, username, password, ca } = account
  const connection = await Connection.open({
    ...server,
    ...options,
    connectMs: CONNECT_MS,
    tls: {
      mode: 'implicit',
      options: {
        // The name that is verified (RFC 9525 §6); an address cannot be asked for with SNI (RFC 6066 §3).
        ...(isIP(server.host) === 0 ? { servername: server.host } : { host: server.host }),
        ...(ca === undefined ? {} : { ca }),
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
      },
    },
  })
  try {
    const answer = await connection.auth({ username, password }, options.scram)
    if (answer.code >= 300) throw new ConnectionError('refused', 'AUTH', formatReply(answer), answer)
    return await deliver(connection, envelope, content)
  } finally {
    connection.quit()
  }
}
