/** [dns]: what `ptt dns` holds the records of our domains against, beside the DKIM keys. */

import * as z from 'zod'
import { type Base, list, oneOf, pathFrom, seconds, text } from '../field.ts'
import * as kind from '../value.ts'

export function dnsTable({ folder }: Base) {
  return z.object({
    egress: list(text(address), 'a list of addresses', 'write for example ["192.0.2.1", "2001:db8::1"]')
      .prefault([])
      .describe('The public addresses the relay sends from: for SPF, PTR records and the name in EHLO.'),
    spf: list(text(mechanism), 'a list of SPF mechanisms', 'write for example ["include:_spf.example.net"]')
      .prefault([])
      .describe('Who else sends mail of our domains, as mechanisms of SPF (RFC 7208 §5).'),
    spfAll: oneOf(['~all', '-all', '?all'])
      .prefault('~all')
      .describe(
        'What SPF says of all others. "-all" lets some receivers refuse forwarded mail before they look at DKIM (RFC 9989 §7.1).',
      ),
    dmarc: oneOf(['none', 'quarantine', 'reject'])
      .prefault('none')
      .describe(
        'What receivers are to do with mail of our domains that is not authenticated (RFC 9989 §4.7).',
      ),
    dmarcRua: reports(['mailto:dmarc@example.com']).describe(
      'Where receivers send their daily DMARC reports to. Empty: they send none.',
    ),
    tlsrptRua: reports(['mailto:tls@example.com']).describe(
      'Where senders of mail to us report failures of TLS to (RFC 8460). Empty: no record is wanted.',
    ),
    mtaSts: pathFrom(folder)
      .exactOptional()
      .meta({
        description:
          'The MTA-STS policy of whoever takes the mail to our domains (RFC 8461): with it the id record is wanted. Not set: none.',
        examples: ['mta-sts.txt'],
      }),
    ttlSeconds: text(seconds(1, 604_800, 'a duration of 1s to 7d'))
      .prefault('1h')
      .describe('The TTL of records that are written.'),
  })
}

function reports(examples: readonly [string]) {
  return list(
    text(reportUri),
    'a list of places for reports',
    `write for example ${JSON.stringify(examples)}`,
  ).prefault([])
}

const address: kind.Kind<string> = {
  noun: 'an IP address',
  write: 'write for example "192.0.2.1" or "2001:db8::1", without a port',
  parse(written) {
    const parsed = kind.endpoint(53, 1).parse(written)
    const bare = /^[\d.]+$/.test(written) || /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(written)
    return parsed !== undefined && bare && parsed.host === written ? written.toLowerCase() : undefined
  },
}

/** Read by who checks the record; here only that it is one word that can stand in it, and does not end it. */
const mechanism: kind.Kind<string> = {
  noun: 'a mechanism of SPF',
  write: 'write for example "include:_spf.example.net" or "ip4:192.0.2.0/24"',
  parse: written =>
    /^[+?~-]?(?:(?:include|exists):[\x21-\x7e]+|(?:a|mx)(?:[:/][\x21-\x7e]+)?|ip[46]:[0-9a-f.:/]+)$/i.test(
      written,
    )
      ? written
      : undefined,
}

/** A URI of RFC 9989 §4.6 or RFC 8460 §3; an address alone is `mailto:`. */
const reportUri: kind.Kind<string> = {
  noun: 'a place for reports',
  write: 'write an address, "mailto:dmarc@example.com" or "https://example.com/reports"',
  parse(written) {
    const mailbox = kind.mailbox.parse(written.replace(/^mailto:/i, ''))
    if (mailbox !== undefined) return /[!,;?%]/.test(mailbox) ? undefined : `mailto:${mailbox}`
    return /^https:\/\/[^\s,;!]+$/.test(written) && URL.canParse(written) ? written : undefined
  },
}
