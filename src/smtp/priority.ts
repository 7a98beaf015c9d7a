/** Message transfer priority, RFC 6710. */

import { SmtpError } from './error.ts'

// priority-value = (["-"] NZDIGIT) / "0", §7: from -9 to 9.
const PRIORITY_VALUE = /^(?:-?[1-9]|0)$/

/** @throws SmtpError 501 5.5.2 (§4.1) */
export function parsePriority(value: string): number {
  if (!PRIORITY_VALUE.test(value)) throw new SmtpError(501, '5.5.2', 'MT-PRIORITY is a number from -9 to 9')
  return Number(value)
}
