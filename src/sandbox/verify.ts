/**
 * What the pretend Internet thinks of a message: DKIM (RFC 6376) verified by a library that is not ours, with the keys
 * our DNS answers, and told in an Authentication-Results field (RFC 8601 §2.2).
 */

import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import type { Resolver } from '../net/resolver.ts'

/** The results of RFC 8601 §2.7.1. */
const DKIM_RESULTS = ['pass', 'fail', 'none', 'neutral', 'policy', 'temperror', 'permerror'] as const
export type DkimResult = (typeof DKIM_RESULTS)[number]

export interface Verdict {
  /** `pass` when any signature passes; else what the first one came to; `none` when there is none. */
  readonly dkim: DkimResult
  /** d= of the signature that decided; empty when there is none. */
  readonly signingDomain: string
  /** Why it is not a pass, in the verifier's words; empty when it is. */
  readonly comment: string
  /** The whole field with its CRLF. */
  readonly field: string
}

export async function verify(content: Uint8Array, resolver: Resolver, authservId: string): Promise<Verdict> {
  const input = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  const { results } = await dkimVerify(input, { resolver: name => keyRecords(name, resolver), strict: true })
  const decisive = results.find(({ status }) => status.result === 'pass') ?? results[0]
  // One line a signature, folded.
  const lines = results.map(({ info }) => `;\r\n\t${info}`)
  return {
    dkim: DKIM_RESULTS.find(result => result === decisive?.status.result) ?? 'permerror',
    signingDomain: decisive?.signingDomain ?? '',
    comment: decisive?.status.comment || '',
    field: `Authentication-Results: ${authservId}${lines.join('')}\r\n`,
  }
}

/** TXT records as mailauth wants them: its own codes tell "no such record" from "cannot know" (RFC 6376 §6.1.2). */
async function keyRecords(name: string, resolver: Resolver): Promise<string[][]> {
  const answer = await resolver.txt(name)
  switch (answer.kind) {
    case 'answer':
      return answer.records.map(record => [record])
    case 'nodata':
      throw Object.assign(new Error(`${name} has no TXT record`), { code: 'ENODATA' })
    case 'nxdomain':
      throw Object.assign(new Error(`${name} does not exist`), { code: 'ENOTFOUND' })
    case 'failure':
      throw Object.assign(new Error(answer.reason), { code: answer.code })
  }
}
