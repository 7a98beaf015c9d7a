/** What a mail server is given, on the way to being the client of another one. */

import type { Submission } from './client.ts'

/** What is asked for beside delivery (RFC 3461). */
export interface Wishes {
  /** Behind the reverse-path: `RET=HDRS ENVID=QQ314159`. */
  readonly mail?: string
  /** Behind each forward-path. */
  readonly rcpt?: string
}

/** The command lines of the session; the message comes after DATA. */
export function commands({ from, to }: Submission, { mail = '', rcpt = '' }: Wishes = {}): string[] {
  return [
    'EHLO localhost',
    `MAIL FROM:<${from}> ${mail}`.trimEnd(),
    ...to.map(recipient => `RCPT TO:<${recipient}> ${rcpt}`.trimEnd()),
    'DATA',
  ]
}

/** With dots doubled, and with that which ends it (RFC 5321 §4.5.2). */
export function stuffed({ message }: Submission): string {
  return `${message.replaceAll(/^\./gm, '..')}.\r\n`
}

/** An address as a pattern. */
export function literally(address: string): string {
  return address.replaceAll(/[.+]/g, '\\$&')
}
