/** curl with an smtps:// URL. Ends with 0 when the message was accepted, 67 AUTH refused, 55 MAIL or RCPT refused. */

import type { Submission } from './client.ts'
import { type Finished, run } from './program.ts'

export async function curl(submission: Submission, extra: readonly string[] = []): Promise<Finished> {
  const args = [
    ...['--silent', '--show-error', '--verbose', '--cacert', submission.ca],
    ...['--url', `smtps://${submission.host ?? '127.0.0.1'}:${submission.port}/client.example.test`],
    ...['--user', `${submission.username}:${submission.password}`, '--mail-from', submission.from],
    ...submission.to.flatMap(recipient => ['--mail-rcpt', recipient]),
    ...['--upload-file', '-'],
  ]
  return run('curl', [...args, ...extra], { input: submission.message })
}
