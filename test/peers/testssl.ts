/** testssl.sh: what a server takes, by its own sockets, and the attacks of the last fifteen years. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { which } from './need.ts'
import { run, temporaryFolder } from './program.ts'

export interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

/** About the OpenSSL of the machine that it runs on, and not the server. */
const OWN = new Set(['engine_problem', 'old_fart'])
const FINE = new Set(['OK', 'INFO', 'DEBUG'])

/**
 * Protocols, and of the vulnerabilities those that do not follow from what sslscan lists: renegotiation, compression, Heartbleed,
 * CCS injection, Lucky 13.
 */
const SOME = ['-p', '-R', '-C', '-I', '-H', '-L']

export interface TestsslOptions {
  /** false: TLS from the first octet. */
  readonly starttls: boolean
  /** Its whole default suite, one to three minutes, and the CA that it is to trust (a file); not given: `SOME`. */
  readonly wholeWithCa?: string
}

/** Of the server at `localhost`. */
export async function testssl(
  port: number,
  { starttls, wholeWithCa }: TestsslOptions,
): Promise<readonly Finding[]> {
  const folder = temporaryFolder('testssl')
  try {
    const file = join(folder.path, 'findings.json')
    const { output } = await run(
      which('testssl') ?? 'testssl',
      [
        ...['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--jsonfile', file],
        ...(wholeWithCa === undefined ? SOME : ['--add-ca', wholeWithCa]),
        ...(starttls ? ['--starttls', 'smtp'] : []),
        ...['--ip', '127.0.0.1', `localhost:${port}`],
      ],
      { cwd: folder.path, timeoutMs: wholeWithCa === undefined ? 180_000 : 900_000 },
    )
    const findings = JSON.parse(readFileSync(file, 'utf8')) as Finding[]
    // It got to the end: the last of the tests.
    assert.ok(
      findings.some(({ id }) => id === 'LUCKY13'),
      output,
    )
    return findings
  } finally {
    folder.remove()
  }
}

/** @param known ids of findings that are none of ours */
export function complaints(findings: readonly Finding[], known: readonly string[] = []): string[] {
  return findings
    .filter(({ id, severity }) => !FINE.has(severity) && !OWN.has(id) && !known.includes(id))
    .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)
}
