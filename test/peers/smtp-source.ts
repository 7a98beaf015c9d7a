/** Postfix's smtp-source: many sessions that send the same message again and again. */

import assert from 'node:assert/strict'
import { run } from './program.ts'

export interface Source {
  readonly port: number
  readonly messages: number
  /** In parallel; each stays connected. */
  readonly sessions: number
  /** Of the body. */
  readonly octets: number
}

/** How long it took to have them all accepted, in ms. */
export async function runSmtpSource({ port, messages, sessions, octets }: Source): Promise<number> {
  const begin = performance.now()
  const { code, output } = await run(
    'smtp-source',
    ['-4', '-d', '-s', String(sessions), '-l', String(octets), '-m', String(messages), `127.0.0.1:${port}`],
    { timeoutMs: 300_000 },
  )
  assert.equal(code, 0, output)
  return performance.now() - begin
}
