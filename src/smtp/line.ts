/** Command lines out of octets, RFC 5321 §2.3.8: CRLF ends a line and nothing else does. */

import { SmtpError } from './error.ts'

export type Line =
  /** Behind its CRLF at `end`; without it in `text`. */
  | { readonly end: number; readonly text: string; readonly fault: null }
  /** A line that is none of ours; the octets up to its CRLF are dropped. */
  | { readonly end: number; readonly text: null; readonly fault: SmtpError }

/** Holds no more of an unfinished line than its limit. */
export class LineReader {
  /** latin1, so that octets stay apart until the line is whole. */
  #partial = ''
  #overlong = false

  /** The line that ends in `octets` at or after `start`; `null`: all was taken, the end is yet to come. */
  read(octets: Buffer, start: number, limitOctets: number): Line | null {
    for (let from = start; ; ) {
      const lf = octets.indexOf(LF, from)
      const end = lf < 0 ? octets.length : lf + 1
      const line = this.#partial + octets.toString('latin1', from, end)
      if (lf >= 0 && line.endsWith('\r\n')) return this.#whole(line, end, limitOctets)
      // Not whole, or a bare LF, which ends nothing.
      this.#overlong ||= line.length > limitOctets
      this.#partial = this.#overlong ? line.slice(-1) : line
      if (lf < 0) return null
      from = end
    }
  }

  #whole(line: string, end: number, limitOctets: number): Line {
    const overlong = this.#overlong || line.length > limitOctets
    this.#overlong = false
    this.#partial = ''
    const text = overlong ? LINE_TOO_LONG : decode(line.slice(0, -2))
    return text instanceof SmtpError ? { end, text: null, fault: text } : { end, text, fault: null }
  }
}

const LF = 0x0a

// RFC 5321 §4.5.3.1.9
export const LINE_TOO_LONG = new SmtpError(500, '5.5.2', 'Line too long')
const BARE = new SmtpError(500, '5.5.2', 'Bare CR, bare LF or NUL in a command: lines end with CRLF only')
const NOT_UTF8 = new SmtpError(500, '5.5.2', 'Command is neither ASCII nor UTF-8')

// RFC 6531 §3.1: what is not ASCII is UTF-8; whether it may stand there is for the command to say.
function decode(line: string): string | SmtpError {
  if (!UNUSUAL.test(line)) return line
  if (/[\0\r\n]/.test(line)) return BARE
  try {
    return UTF8.decode(Buffer.from(line, 'latin1'))
  } catch {
    return NOT_UTF8
  }
}

/** NUL, CR, LF, and what is not ASCII. */
const UNUSUAL = /[\0\r\n\x80-\xff]/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
