/** Fields that a submission server takes out, whole: what nobody is to see, and what the author cannot know. */

import { authenticationService } from '../message/authentication-results.ts'
import { parseDate } from '../message/date.ts'
import { type Field, fieldBody } from '../message/header.ts'
import { isMessageId } from '../message/message-id.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { SmtpError } from '../smtp/error.ts'

/** What is removed when, and why; docs/submission.md has the same. */
export const REMOVED = {
  Bcc: ['Always', 'RFC 5322 §3.6.3: nobody is to see it'],
  'Resent-Bcc': ['Always', 'RFC 5322 §3.6.6: nobody is to see it'],
  'Return-Path': ['Always', 'RFC 5321 §4.4: it is written at the final delivery'],
  'Authentication-Results': [
    'When it claims to be of this deployment (its domain, or any name beneath it, or the submission server), when its version is not 1, when nobody can read whose it is',
    'RFC 8601 §5: it is forged',
  ],
  Date: ['When it cannot be read; another is added', 'RFC 6409 §8.2'],
  'Message-ID': ['When others could not refer to it; another is added', 'RFC 6409 §8.3'],
} as const

/** `ours`: the names under which our own checks would be reported. */
export function isRemoved(field: Field, ours: readonly string[]): boolean {
  switch (field.name.toLowerCase()) {
    case 'bcc':
    case 'resent-bcc':
    case 'return-path':
      return true
    case 'authentication-results':
      return isForged(field, ours)
    case 'date':
      return parseDate(fieldBody(field)) === null
    case 'message-id':
      return !isMessageId(fieldBody(field))
    default:
      return false
  }
}

/** RFC 8601 §5. The client is no trusted MTA: what it says of our own checks, nobody here has checked. */
function isForged(results: Field, ours: readonly string[]): boolean {
  const service = authenticationService(results)
  if (service === null || service.version !== 1) return true
  const name = hostOf(service.id)
  return ours.some(own => name === hostOf(own) || name.endsWith(`.${hostOf(own)}`))
}

/** Names are compared in any case and form; an authserv-id need not be a domain. */
function hostOf(name: string): string {
  try {
    return normalizeDomain(name.replace(/\.$/, ''))
  } catch (error) {
    if (error instanceof SmtpError) return name.toLowerCase()
    throw error
  }
}
