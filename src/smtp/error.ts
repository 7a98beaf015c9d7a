/** What a parser throws when the peer is at fault; the session catches it in one place and answers `reply`. */

import type { Reply } from './reply.ts'
import type { EnhancedStatusCode } from './status.ts'

export class SmtpError extends Error {
  /** Reply code, RFC 5321 §4.2. */
  readonly code: number
  /** RFC 3463; its class is the first digit of `code`. */
  readonly status: EnhancedStatusCode

  constructor(code: number, status: EnhancedStatusCode, text: string, options?: ErrorOptions) {
    super(text, options)
    this.name = 'SmtpError'
    this.code = code
    this.status = status
  }

  get reply(): Reply {
    return { code: this.code, status: this.status, lines: [this.message] }
  }
}

/** The answer to whoever is at fault. @throws the error itself when that is not the peer. */
export function refusalOf(error: unknown): Reply {
  if (error instanceof SmtpError) return error.reply
  throw error
}
