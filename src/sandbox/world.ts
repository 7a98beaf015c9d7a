/**
 * The names there are: our own zone, with what a sending domain publishes, and the pretend Internet. There every domain
 * has the same MX, but for some under `.test` that show what else can happen. Nothing leads to the real Internet.
 */

import type { Config } from '../config/schema.ts'
import type { ZoneData } from './dns-zone.ts'

export const DOMAIN = 'example.test'
export const INTERNET_HOST = 'mx.internet.test'
/** On most systems all of 127.0.0.0/8 is this machine; here nothing listens. */
const NOBODY = '127.0.0.99'

/** What happens to mail for some domains. */
export const SPECIAL_DOMAINS: Readonly<Record<string, string>> = {
  'backup.test': 'goes to its second MX: the first is down',
  'down.test': 'waits: its MX is down',
  'null-mx.test': 'comes back: it says that it takes no mail (RFC 7505)',
  'nowhere.test': 'comes back: there is no such domain',
}

export function zones(config: Config): ZoneData[] {
  const { submission } = config
  const host = submission.hostname.slice(0, -DOMAIN.length - 1)
  return [
    {
      origin: DOMAIN,
      records: [
        // Mail to our users, failure notices too, is received by somebody else: ptt only sends.
        { name: '@', type: 'MX', data: `10 ${INTERNET_HOST}` },
        { name: '@', type: 'TXT', data: 'v=spf1 ip4:127.0.0.1 -all' },
        { name: '_dmarc', type: 'TXT', data: 'v=DMARC1; p=reject' },
        { name: 'ns', type: 'A', data: '127.0.0.1' },
        { name: host, type: 'A', data: '127.0.0.1' },
        // RFC 8314 §5.1: how mail programs find the server.
        {
          name: '_submissions._tcp',
          type: 'SRV',
          data: `0 1 ${submission.listen.port} ${submission.hostname}`,
        },
      ],
    },
    {
      origin: '.',
      records: [
        { name: '*', type: 'MX', data: `10 ${INTERNET_HOST}` },
        { name: INTERNET_HOST, type: 'A', data: '127.0.0.1' },
        { name: 'internet.test', type: 'MX', data: `10 ${INTERNET_HOST}` },
        { name: 'mx.down.test', type: 'A', data: NOBODY },
        { name: 'down.test', type: 'MX', data: '10 mx.down.test' },
        { name: 'backup.test', type: 'MX', data: '10 mx.down.test' },
        { name: 'backup.test', type: 'MX', data: `20 ${INTERNET_HOST}` },
        { name: 'null-mx.test', type: 'MX', data: '0 .' },
      ],
    },
  ]
}
