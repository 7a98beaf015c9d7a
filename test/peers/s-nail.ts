/** s-nail, the mailx of POSIX: it takes the header and the text, and writes the message itself. Ends with 0 when it was accepted. */

import type { Submission } from './client.ts'
import { type Finished, run } from './program.ts'

/** `extra`: `-S smtp-auth=login`, or another `-S mta=…`. */
export async function sNail(submission: Submission, extra: readonly string[] = []): Promise<Finished> {
  return run('s-nail', [...settings(submission, 'smtps'), ...extra, '-t'], { input: inputOf(submission) })
}

/** Through a port that begins in clear text. */
export async function sNailStarttls(
  submission: Submission,
  extra: readonly string[] = [],
): Promise<Finished> {
  const args = [...settings(submission, 'submission'), '-S', 'smtp-use-starttls', ...extra, '-t']
  return run('s-nail', args, { input: inputOf(submission) })
}

function settings(submission: Submission, scheme: 'smtps' | 'submission'): string[] {
  const [user, password] = [submission.username, submission.password].map(encodeURIComponent)
  const server = `${submission.host ?? 'localhost'}:${submission.port}`
  return [
    // No file of the user's or the machine's, none for what could not be sent; the whole dialog.
    ...['-:/', '-S', 'DEAD=/dev/null', '-v', '-v', '-S', 'v15-compat', '-S', 'expandaddr', '-S', 'sendwait'],
    ...['-S', `mta=${scheme}://${user}:${password}@${server}`],
    ...['-S', `from=${submission.from}`, '-S', 'hostname=client.example.test'],
    ...['-S', 'tls-verify=strict', '-S', 'tls-ca-no-defaults', '-S', `tls-ca-file=${submission.ca}`],
  ]
}

function inputOf({ message }: Submission): string {
  return message.replaceAll('\r\n', '\n')
}
