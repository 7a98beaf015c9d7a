/** Enhanced mail system status codes, RFC 3463, with the registry of RFC 5248 and those who added to it. */

/** class "." subject "." detail (RFC 3463 §2). */
export type EnhancedStatusCode = `${2 | 4 | 5}.${number}.${number}`

// status-code = class "." subject "." detail, RFC 2034 §4: subject and detail are 1*3digit.
const STATUS = /^[245]\.\d{1,3}\.\d{1,3}$/

export function isStatus(text: string): text is EnhancedStatusCode {
  return STATUS.test(text)
}

/** `null` when it is none. */
export function parseStatus(text: string): EnhancedStatusCode | null {
  return isStatus(text) ? text : null
}

/** What a code says, in the words of its registration: `null` when it is not registered. */
export function statusMeaning(status: EnhancedStatusCode): string | null {
  return MEANINGS[status.slice(2)] ?? null
}

/** By subject and detail; the class says whether it succeeded, may be repeated, or failed. */
const MEANINGS: Readonly<Record<string, string>> = {
  // RFC 3463 §3.1
  '0.0': 'Other undefined status',
  // RFC 3463 §3.2, addressing
  '1.0': 'Other address status',
  '1.1': 'Bad destination mailbox address',
  '1.2': 'Bad destination system address',
  '1.3': 'Bad destination mailbox address syntax',
  '1.4': 'Destination mailbox address ambiguous',
  '1.5': 'Destination address valid',
  '1.6': 'Destination mailbox has moved, no forwarding address',
  '1.7': "Bad sender's mailbox address syntax",
  '1.8': "Bad sender's system address",
  '1.9': 'Message relayed to non-compliant mailer', // RFC 3886 §3.3.4
  '1.10': 'Recipient address has null MX', // RFC 7505 §6
  // RFC 3463 §3.3, mailbox
  '2.0': 'Other or undefined mailbox status',
  '2.1': 'Mailbox disabled, not accepting messages',
  '2.2': 'Mailbox full',
  '2.3': 'Message length exceeds administrative limit',
  '2.4': 'Mailing list expansion problem',
  // RFC 3463 §3.4, mail system
  '3.0': 'Other or undefined mail system status',
  '3.1': 'Mail system full',
  '3.2': 'System not accepting network messages',
  '3.3': 'System not capable of selected features',
  '3.4': 'Message too big for system',
  '3.5': 'System incorrectly configured',
  '3.6': 'Requested priority was changed', // RFC 6710 §9
  // RFC 3463 §3.5, network and routing
  '4.0': 'Other or undefined network or routing status',
  '4.1': 'No answer from host',
  '4.2': 'Bad connection',
  '4.3': 'Directory server failure',
  '4.4': 'Unable to route',
  '4.5': 'Mail system congestion',
  '4.6': 'Routing loop detected',
  '4.7': 'Delivery time expired',
  // RFC 3463 §3.6, mail delivery protocol
  '5.0': 'Other or undefined protocol status',
  '5.1': 'Invalid command',
  '5.2': 'Syntax error',
  '5.3': 'Too many recipients',
  '5.4': 'Invalid command arguments',
  '5.5': 'Wrong protocol version',
  '5.6': 'Authentication exchange line is too long', // RFC 4954 §6
  // RFC 3463 §3.7, message content or media
  '6.0': 'Other or undefined media error',
  '6.1': 'Media not supported',
  '6.2': 'Conversion required and prohibited',
  '6.3': 'Conversion required but not supported',
  '6.4': 'Conversion with loss performed',
  '6.5': 'Conversion failed',
  '6.6': 'Message content not available', // RFC 4468 §5
  '6.7': 'Non-ASCII addresses not permitted for that sender/recipient', // RFC 6531 §4
  '6.8': 'UTF-8 string reply is required, but not permitted by the SMTP client', // RFC 6531 §4
  '6.9': 'UTF-8 header message cannot be transferred to one or more recipients', // RFC 6531 §4
  // RFC 3463 §3.8, security or policy
  '7.0': 'Other or undefined security status',
  '7.1': 'Delivery not authorized, message refused',
  '7.2': 'Mailing list expansion prohibited',
  '7.3': 'Security conversion required but not possible',
  '7.4': 'Security features not supported',
  '7.5': 'Cryptographic failure',
  '7.6': 'Cryptographic algorithm not supported',
  '7.7': 'Message integrity failure',
  '7.8': 'Authentication credentials invalid', // RFC 4954 §6
  '7.9': 'Authentication mechanism is too weak', // RFC 4954 §6
  '7.10': 'Encryption needed', // RFC 5248 §3
  '7.11': 'Encryption required for requested authentication mechanism', // RFC 4954 §6
  '7.12': 'A password transition is needed', // RFC 4954 §6
  '7.13': 'User account disabled', // RFC 5248 §3
  '7.14': 'Trust relationship required', // RFC 5248 §3
  '7.20': 'No passing DKIM signature found', // RFC 7372 §3.1
  '7.21': 'No acceptable DKIM signature found', // RFC 7372 §3.1
  '7.22': 'No valid author-matched DKIM signature found', // RFC 7372 §3.1
  '7.23': 'SPF validation failed', // RFC 7372 §3.2
  '7.24': 'SPF validation error', // RFC 7372 §3.2
  '7.25': 'Reverse DNS validation failed', // RFC 7372 §3.3
  '7.26': 'Multiple authentication checks failed', // RFC 7372 §3.4
  '7.27': 'Sender address has null MX', // RFC 7505 §6
  '7.30': 'REQUIRETLS support required', // RFC 8689 §8
}
