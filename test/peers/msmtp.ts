/** msmtp, a sendmail for people with mail elsewhere. Ends with 0 when the message was accepted, else as in sysexits.h. */

import { spawnSync } from 'node:child_process'
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

/**
 * The best mechanism that this msmtp has and we offer: with channel binding where it can do that (1.8.28 does, 1.8.23
 * does not). One that can refuses to do without, when a server offers both.
 */
export function scramOfMsmtp(): 'SCRAM-SHA-256-PLUS' | 'SCRAM-SHA-256' {
  const { stdout } = spawnSync('msmtp', ['--version'], { encoding: 'utf8' })
  return /\bscram-sha-256-plus\b/.test(stdout ?? '') ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256'
}
