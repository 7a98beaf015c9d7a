/** What `ptt dns` says of one thing: what is there, what should be, one verdict with its reason. */

import type { RecordType, Srv } from '../dns/rdata.ts'
import type { Endpoint } from '../net/endpoint.ts'

/**
 * - `ok`: it does what it should, whoever wrote it.
 * - `missing`: there is nothing.
 * - `differs`: it is not as it should be, and no stranger's record stands in the way.
 * - `foreign`: somebody else's record is there, and does not do; it is left alone unless that is asked for.
 * - `cannot know`: the DNS does not answer, or the configuration does not say what should be.
 */
export type Verdict = 'ok' | 'missing' | 'differs' | 'foreign' | 'cannot know'

export interface Finding {
  /** One of our domains, or the name of the relay, which serves all of them. */
  readonly domain: string
  /** `SPF`, `DMARC`, `PTR` … */
  readonly subject: string
  /** Where in the DNS. */
  readonly name: string
  readonly type: RecordType
  readonly verdict: Verdict
  readonly reason: string
  /** As in a master file, what is there of that kind. */
  readonly found: readonly string[]
  /** `null`: none is wanted, or it is not ours to say. */
  readonly wanted: string | null
  /** What `apply` does about it; `null`: nothing, or it is not to be done by an update. */
  readonly change: Change | null
  /** What it does if it is told to replace what is foreign. */
  readonly replacement: Change | null
  /** Why nothing can be written here, whatever is wrong: the primary does not answer. */
  readonly obstacle?: string
}

/** The types that are written. */
export type WrittenType = 'TXT' | 'SRV'

/** One record of an RRset that was seen or is to be. */
export type Rr =
  | { readonly type: 'TXT'; readonly data: readonly Uint8Array[]; readonly text: string }
  | { readonly type: 'SRV'; readonly data: Srv; readonly text: string }

/** From what was seen to what should be: only if it is still what was seen. */
export interface Change {
  readonly zone: string
  readonly primary: Endpoint
  readonly name: string
  readonly type: WrittenType
  /** The RRset as it is, all of it, whoever owns it. */
  readonly seen: readonly Rr[]
  readonly remove: readonly Rr[]
  readonly add: readonly Rr[]
  /** Of what is added: that of the RRset, where there is one, which is then not changed (RFC 2181 §5.2). */
  readonly ttlSeconds: number
  /** What the zone's list of ours says of this name and type, and will not be true any more. */
  readonly disown: readonly string[]
  /** What the list is to say instead. */
  readonly own: readonly string[]
}

export function txtRr(text: string, data: readonly Uint8Array[]): Rr {
  return { type: 'TXT', data, text }
}

/** `0 1 465 mail.example.com`, as in a master file. */
export function srvRr(data: Srv): Rr {
  const target = data.target.toLowerCase() || '.'
  return { type: 'SRV', data, text: `${data.priority} ${data.weight} ${data.port} ${target}` }
}

/** TXT in quotes, so that a space at an end is seen; one string even where it is several. */
export function show(rr: Rr): string {
  return rr.type === 'TXT' ? `"${rr.text.replace(/["\\]/g, '\\$&')}"` : rr.text
}
