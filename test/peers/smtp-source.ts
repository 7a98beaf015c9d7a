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

export interface Sent {
  /** How long it took to have them all accepted. */
  readonly ms: number
  /** CPU time of smtp-source, in the program and in the kernel for it. */
  readonly cpuSeconds: number
}

/** `times` of a shell is where the CPU time of another program is to be had: the second line is its children's. */
const TIMED = 'smtp-source "$@"; status=$?; times; exit $status'

export async function runSmtpSource({ port, messages, sessions, octets }: Source): Promise<Sent> {
  const begin = performance.now()
  const options = ['-4', '-d', '-s', sessions, '-l', octets, '-m', messages, `127.0.0.1:${port}`].map(String)
  const { code, output } = await run('sh', ['-c', TIMED, 'sh', ...options], { timeoutMs: 300_000 })
  assert.equal(code, 0, output)
  const times =
    output
      .trim()
      .split('\n')
      .at(-1)
      ?.matchAll(/(\d+)m([\d.]+)s/g) ?? []
  const cpuSeconds = [...times].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  )
  return { ms: performance.now() - begin, cpuSeconds }
}
