/** Replies, RFC 5321 §4.2, with the enhanced status codes of RFC 2034 as a field of their own. */

import { SmtpError } from './error.ts'
import { LIMITS } from './limits.ts'
import { type EnhancedStatusCode, isStatus } from './status.ts'

export interface Reply {
  readonly code: number
  /** Absent from greetings, replies to EHLO and HELO, and 3yz (RFC 2034 §4). */
  readonly status?: EnhancedStatusCode
  /** The text, a string a line, without codes. At least one. */
  readonly lines: readonly string[]
}

/** `status` is `null` where RFC 2034 §4 has none: the greeting, EHLO, HELO, 3yz. */
export function reply(code: number, status: EnhancedStatusCode | null, ...lines: string[]): Reply {
  const text = lines.length === 0 ? [''] : lines
  return status === null ? { code, lines: text } : { code, status, lines: text }
}

/** Replies that are said again and again, with their octets: making these each time is a sixth of a transaction (measured). */
const FIXED = new WeakMap<Reply, Uint8Array>()

/** The same as `reply`, for one that is kept and said to many. */
export function fixedReply(code: number, status: EnhancedStatusCode | null, ...lines: string[]): Reply {
  const kept = reply(code, status, ...lines)
  FIXED.set(kept, encode(kept))
  return kept
}

export const isPositive = (reply: Reply): boolean => reply.code < 400
export const isTransient = (reply: Reply): boolean => reply.code >= 400 && reply.code < 500

/** Not to be written over: others may say the same. */
export function encodeReply(reply: Reply): Uint8Array {
  return FIXED.get(reply) ?? encode(reply)
}

// Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
// RFC 2034 §4: the same status code begins the text of each line.
function encode(reply: Reply): Uint8Array {
  const { code, status, lines } = reply
  const prefix = status === undefined ? '' : `${status} `
  const [only = ''] = lines
  if (lines.length <= 1 && only.length <= TEXT_OCTETS && !UNPRINTABLE.test(only)) {
    return Buffer.from(`${code} ${prefix}${only}\r\n`, 'latin1')
  }
  const texts = lines.flatMap(line => foldText(line.replace(UNPRINTABLE_ALL, '?')))
  const last = texts.length - 1
  return Buffer.from(
    texts.map((text, i) => `${code}${i < last ? '-' : ' '}${prefix}${text}\r\n`).join(''),
    'latin1',
  )
}

/** In one line, for logs and for the Diagnostic-Code of RFC 3464 §2.3.6. */
export function formatReply(reply: Reply): string {
  const status = reply.status === undefined ? '' : ` ${reply.status}`
  return `${reply.code}${status} ${reply.lines.join(' ')}`.trimEnd()
}

// textstring = 1*(%d09 / %d32-126): also a reply of ours that quotes a peer cannot become two (RFC 6531 §3.7.4: ASCII).
const UNPRINTABLE = /[^\t -~]/
const UNPRINTABLE_ALL = /[^\t -~]/gu
/** A text up to here is one line: RFC 5321 §4.5.3.1.5, less the code, the longest status code and the CRLF. */
export const TEXT_OCTETS = LIMITS.replyLineOctets - '250 '.length - '5.999.999 '.length - 2

/** A text too long for a line as several, at spaces where it has some. */
function foldText(text: string): string[] {
  const lines: string[] = []
  let rest = text
  while (rest.length > TEXT_OCTETS) {
    const space = rest.lastIndexOf(' ', TEXT_OCTETS)
    const end = space > 0 ? space : TEXT_OCTETS
    lines.push(rest.slice(0, end))
    rest = rest.slice(space > 0 ? end + 1 : end)
  }
  lines.push(rest)
  return lines
}

// Reply-code = %x32-35 %x30-35 %x30-39; RFC 5321 §4.2: unknown codes go by their first digit, and the text may be absent.
const REPLY_LINE = /^([2-5]\d\d)(?:([ -])(.*))?$/s
const STATUS_PREFIX = /^([245]\.\d{1,3}\.\d{1,3})(?: +(.*))?$/s

/** Octets of a server as replies; what is not whole yet waits, within bounds. */
export class ReplyParser {
  #rest = ''
  #code = 0
  #texts: string[] = []
  readonly #lineOctets: number

  /** @param lineOctets the longest line that is taken, with its CRLF */
  constructor(lineOctets: number = LIMITS.replyLineOctetsRead) {
    this.#lineOctets = lineOctets
  }

  /** In the middle of a reply. */
  get partial(): boolean {
    return this.#rest !== '' || this.#texts.length > 0
  }

  /** @throws SmtpError 451 4.5.0: what came is no reply, and what follows cannot be trusted to be one. */
  *push(chunk: Uint8Array): Generator<Reply> {
    // latin1 keeps octets apart until a line is whole: a character of UTF-8 may be cut by the chunk.
    this.#rest += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    let from = 0
    for (;;) {
      const end = this.#rest.indexOf('\n', from)
      if (end < 0) break
      if (this.#rest[end - 1] !== '\r' || end === from) throw malformed('line ends with a bare LF')
      const line = this.#rest.slice(from, end - 1)
      from = end + 1
      const whole = this.#line(line)
      if (whole === null) continue
      this.#rest = this.#rest.slice(from)
      from = 0
      yield whole
    }
    this.#rest = this.#rest.slice(from)
    if (this.#rest.length > this.#lineOctets) throw malformed('line too long')
  }

  #line(line: string): Reply | null {
    if (line.length + 2 > this.#lineOctets) throw malformed('line too long')
    const [, digits, separator, text = ''] = REPLY_LINE.exec(line) ?? []
    if (digits === undefined) throw malformed(`"${printable(line).slice(0, 80)}"`)
    const code = Number(digits)
    if (this.#texts.length > 0 && code !== this.#code) throw malformed(`${this.#code}- continued by ${code}`)
    this.#code = code
    this.#texts.push(printable(Buffer.from(text, 'latin1').toString()))
    if (this.#texts.length > LIMITS.replyLines) throw malformed('too many lines')
    if (separator === '-') return null
    const texts = this.#texts
    this.#texts = []
    return splitStatus(code, texts)
  }
}

/** Text of a peer as it may stand in a log, a notice and a reply of ours. */
const printable = (text: string): string => text.replace(/[\0-\x08\x0a-\x1f\x7f-\x9f]/g, '?')

function malformed(what: string): SmtpError {
  return new SmtpError(451, '4.5.0', `Malformed reply from the server: ${what}`)
}

// RFC 2034 §4: the class agrees with the code, every line has the same; some servers give it in the first only.
function splitStatus(code: number, texts: string[]): Reply {
  const [, status = '', first = ''] = STATUS_PREFIX.exec(texts[0] ?? '') ?? []
  if (!isStatus(status) || Number(status[0]) !== Math.floor(code / 100)) return { code, lines: texts }
  const lines = texts.map((text, i) => {
    if (i === 0) return first
    const [, again, rest = ''] = STATUS_PREFIX.exec(text) ?? []
    return again === status ? rest : text
  })
  return { code, status, lines }
}
