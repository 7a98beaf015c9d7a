/**
 * posttls-finger of Postfix: what another sender makes of the TLS of a destination. It asks the resolver of the machine, so it
 * runs in a mount namespace with an /etc/resolv.conf of its own: only root can.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { need, needRoot, which } from './need.ts'
import { run, temporaryFolder } from './program.ts'

export interface Fingering {
  /** Of 127.0.0.0/8, where a validating resolver answers on port 53. */
  readonly resolver: string
  /** A folder with a main.cf. */
  readonly configuration: string
  /** `example.org:25` */
  readonly destination: string
}

export interface Fingered {
  /**
   * Its own words for a connection over TLS: `Verified` as the policy wants, `Trusted` (a chain to a CA it knows), `Untrusted`,
   * `Anonymous`; `clear text`; `nothing`: there is no host it would speak to.
   */
  readonly verdict: 'Verified' | 'Trusted' | 'Untrusted' | 'Anonymous' | 'clear text' | 'nothing'
  readonly output: string
}

export function needPosttlsFinger(t: TestContext): boolean {
  return need(t, 'posttls-finger', 'unshare') && needRoot(t, 'give posttls-finger a resolver of its own')
}

/** DANE where DNS has it, else opportunistic TLS; MX records that are not secure get no DANE. */
export async function posttlsFinger(what: Fingering): Promise<Fingered> {
  const folder = temporaryFolder('posttls-finger')
  try {
    const file = join(folder.path, 'resolv.conf')
    writeFileSync(file, `nameserver ${what.resolver}\noptions edns0 trust-ad timeout:5\n`)
    const program = which('posttls-finger') ?? 'posttls-finger'
    const mounted = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    const finger = [
      program,
      '-t',
      '10',
      '-T',
      '10',
      '-l',
      'dane',
      '-M',
      'may',
      '-o',
      'dnssec_probe=',
      '-L',
      'summary,certmatch',
    ]
    const { output } = await run(
      'unshare',
      ['--mount', 'sh', '-c', mounted, 'sh', file, ...finger, what.destination],
      { env: { MAIL_CONFIG: what.configuration } },
    )
    return { verdict: verdictOf(output), output }
  } finally {
    folder.remove()
  }
}

function verdictOf(output: string): Fingered['verdict'] {
  const words = /: (Verified|Trusted|Untrusted|Anonymous) TLS connection established/.exec(output)?.[1]
  if (words !== undefined) return words as Fingered['verdict']
  // The farewell of a session that got as far as EHLO, and no TLS in it.
  return /: > QUIT$/m.test(output) && !output.includes('> STARTTLS') ? 'clear text' : 'nothing'
}
