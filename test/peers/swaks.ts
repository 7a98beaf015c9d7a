/** swaks, the "Swiss Army Knife for SMTP". Ends with 0 when the message was accepted, 24 RCPT, 26 DATA, 28 AUTH. */

import type { Submission } from './client.ts'
import { type Finished, run } from './program.ts'

export async function swaks(submission: Submission, extra: readonly string[] = []): Promise<Finished> {
  const args = [
    ...['--server', submission.host ?? '127.0.0.1', '--port', String(submission.port)],
    ...['--tls-on-connect', '--tls-verify', '--tls-ca-path', submission.ca],
    ...['--auth', 'PLAIN', '--auth-user', submission.username, '--auth-password', submission.password],
    ...['--from', submission.from, '--to', submission.to.join(','), '--data', '-'],
  ]
  // swaks makes CRLF of LF itself, and adds one line end at the end.
  const input = submission.message.replaceAll('\r\n', '\n').replace(/\n$/, '')
  return run('swaks', [...args, ...extra], { input })
}
