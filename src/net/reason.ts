/** Why a socket failed, in words: they go into logs, into `ptt queue`, and into notices that anybody may read. */

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by the other side',
  EPIPE: 'connection closed by the other side',
  ETIMEDOUT: 'no answer, says the system',
  EHOSTUNREACH: 'no route to this host',
  ENETUNREACH: 'no route to this network',
  EADDRNOTAVAIL: 'no local address to connect from',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this machine',
}

/** Else OpenSSL's own words (`no shared cipher`) rather than the line with its source file that Node makes the message of. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const words = 'code' in error ? WORDS[String(error.code)] : undefined
  if (words !== undefined) return words
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
}
