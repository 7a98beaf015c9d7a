/** What a reply, or the lack of one, means for a recipient. Pure. Whatever is not understood is temporary. */

import type { Category } from '../config/replies.ts'
import type { ConnectionError } from '../net/connection.ts'
import type { WireError } from '../net/wire.ts'
import type { Evidence } from '../queue/queue.ts'
import { formatReply, type Reply } from '../smtp/reply.ts'
import type { PeerPromises } from './notice.ts'
import type { Classified } from './replies.ts'

/** What became of one recipient in one attempt; `next` means: not here, but the next host may be asked. */
export type Verdict = {
  readonly action: 'delivered' | 'failed' | 'deferred' | 'next'
  readonly status: string
  readonly diagnostic: string
  /** What was said; none where the connection failed, or we know by ourselves. */
  readonly reply?: Reply
  /** What the reply is about. */
  readonly category?: Category | 'signature'
  /** Said of the sender, or of several recipients at once: of no address of theirs. */
  readonly shared?: true
  /** The recipient is not tried again before. */
  readonly waitMs?: number
  /** Of a delivery: what the peer does with the message. */
  readonly peer?: PeerPromises
}

export function fromReply(answer: Reply): Verdict {
  const diagnostic = formatReply(answer)
  if (answer.code >= 200 && answer.code < 300)
    return { action: 'delivered', status: answer.status ?? '2.0.0', diagnostic, reply: answer }
  if (answer.code >= 500 && answer.code < 600)
    return { action: 'failed', status: answer.status ?? '5.0.0', diagnostic, reply: answer }
  return { action: 'deferred', status: answer.status ?? '4.0.0', diagnostic, reply: answer }
}

/** MAIL: 4xx is about this host, which another may not share; 5xx is about the message. */
export function fromMailReply(answer: Reply): Verdict {
  const verdict: Verdict = { ...fromReply(answer), shared: true }
  return verdict.action === 'deferred' ? { ...verdict, action: 'next' } : verdict
}

/** RCPT: 552 is what old servers say for 452, too many recipients (RFC 5321 §4.5.3.1.10). */
export function fromRcptReply(answer: Reply): Verdict {
  if (answer.code !== 552) return fromReply(answer)
  return { action: 'deferred', status: '4.5.3', diagnostic: formatReply(answer), reply: answer }
}

/**
 * The connection failed. Once the content was sent whole, this host may have accepted it: asking another now would send
 * the message twice, so it waits.
 */
export function fromConnectionError(error: ConnectionError): Verdict {
  if (error.phase === 'message') return { action: 'deferred', status: '4.4.2', diagnostic: error.message }
  // RFC 7504 §4: 521 in the greeting, "this host never accepts mail": try the others, then fail.
  const never = error.reply?.code === 521 || error.reply?.code === 556
  // A 5xx greeting alone does not fail a message (Postfix: smtp_skip_5xx_greeting): only "never accepts mail" does.
  const status = never ? '5.3.2' : temporary(error.reply?.status ?? STATUS[error.code])
  const { reply } = error
  return { action: 'next', status, diagnostic: error.message, ...(reply === null ? {} : { reply }) }
}

/** No connection to an address. */
export function fromWireError(error: WireError): Verdict {
  return { action: 'next', status: STATUS[error.code], diagnostic: `connect: ${error.message}` }
}

/** The same, with what the rules know of the reply: a host that turns us away does not fail a message. */
export function inThisLight(verdict: Verdict, { category: said, action, waitMs, rule }: Classified): Verdict {
  const category = verdict.shared && (said === 'bad-address' || said === 'inactive') ? 'policy' : said
  const known = { ...verdict, category, ...(waitMs === null ? {} : { waitMs }) }
  if (verdict.action === 'failed' && action === 'defer')
    return { ...known, action: 'deferred', status: temporary(verdict.status) }
  if (verdict.action === 'deferred' && action === 'fail')
    return { ...known, action: 'failed', status: permanent(verdict.status) }
  // A code alone that turns us away (MAIL, a greeting) is about this host; a rule of the operator's is about the message.
  if (verdict.action === 'next' && rule?.action === 'fail')
    return { ...known, action: 'failed', status: permanent(verdict.status) }
  // "Never" in a greeting (521), and it is we who are meant.
  if (verdict.action === 'next' && action === 'defer') return { ...known, status: temporary(verdict.status) }
  return known
}

const STATUS = {
  connect: '4.4.1',
  timeout: '4.4.2',
  closed: '4.4.2',
  behind: '4.4.2',
  tls: '4.7.5',
  refused: '4.3.2',
  protocol: '4.5.0',
} as const satisfies Record<ConnectionError['code'], string>

/** When no host is left to ask: what the last one's verdict comes to. */
export function settleNext(verdict: Verdict): Verdict {
  if (verdict.action !== 'next') return verdict
  return { ...verdict, action: verdict.status.startsWith('5') ? 'failed' : 'deferred' }
}

function temporary(status: string): string {
  return status.replace(/^5/, '4')
}

function permanent(status: string): string {
  return status.replace(/^4/, '5')
}

/** Where a verdict was given. */
export type Where = Pick<Evidence, 'remote' | 'tls' | 'policy' | 'site' | 'source'>

export function evidence(verdict: Verdict, atMs: number, where: Where = {}): Evidence {
  const { status, diagnostic, category } = verdict
  return { atMs, status, diagnostic, ...where, ...(category === undefined ? {} : { category }) }
}
