/** msmtp, a sendmail for people with mail elsewhere. Ends with 0 when the message was accepted, else as in sysexits.h. */

import type { Submission } from './client.ts'
import { type Finished, run } from './program.ts'

/** `extra`: `--auth=METHOD`, in lower case; else it takes the best it finds. */
export async function msmtp(submission: Submission, extra: readonly string[] = []): Promise<Finished> {
  const args = [
    // No file of the user's or the machine's.
    ...['--file=/dev/null', `--host=${submission.host ?? 'localhost'}`, `--port=${submission.port}`],
    ...['--tls=on', '--tls-starttls=off', `--tls-trust-file=${submission.ca}`],
    ...['--auth=on', `--user=${submission.username}`, '--passwordeval=printenv PTT_PASSWORD'],
    ...['--debug', `--from=${submission.from}`, ...extra, '--', ...submission.to],
  ]
  // It makes CRLF of LF itself.
  const input = submission.message.replaceAll('\r\n', '\n')
  return run('msmtp', args, { input, env: { PTT_PASSWORD: submission.password } })
}
