import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceRecord } from '../dns/message.ts'
import { type Rr, srvRr } from './finding.ts'
import { inventory } from './inventory.ts'
import { text } from './judge.ts'
import { ownershipText } from './ownership.ts'

const record = (name: string, rr: Rr): ResourceRecord => {
  const owned = { name, class: 'IN', ttlSeconds: 60 } as const
  return rr.type === 'TXT'
    ? { ...owned, type: 'TXT', data: rr.data }
    : { ...owned, type: 'SRV', data: rr.data }
}
const other = (name: string, type: 'A' | 'MX' | 'CNAME', data: unknown) =>
  ({ name, class: 'IN', ttlSeconds: 60, type, data }) as ResourceRecord
const dmarc = text('v=DMARC1; p=none')
const door = srvRr({ priority: 0, weight: 1, port: 465, target: 'mail.example.com' })
const KEY = 'v=DKIM1; k=rsa; p=AAAA'

const RECORDS: ResourceRecord[] = [
  other('example.com', 'MX', { preference: 10, exchange: 'mx.example.com' }),
  record('example.com', text('v=spf1 -all')),
  record('example.com', text('verification=1')),
  other('www.example.com', 'A', '192.0.2.1'),
  other('www.example.com', 'CNAME', 'example.com'),
  record('_DMARC.example.com', dmarc),
  record('_dmarc.news.example.com', dmarc),
  record('_submissions._tcp.example.com', door),
  record('_sip._tcp.example.com', door),
  record('ptt._domainkey.example.com', text('v=DKIM1;k=rsa;p=AAAA')),
  record('old._domainkey.example.com', text(KEY)),
  other('google._domainkey.example.com', 'CNAME', 'dkim.example.net'),
  record('_ptt.example.com', text(ownershipText('_dmarc.example.com', dmarc))),
  record('_ptt.example.com', text(ownershipText('_submissions._tcp.example.com', door))),
]
const options = {
  zone: 'example.com',
  domains: ['example.com'],
  keys: [{ domain: 'example.com', selector: 'ptt', record: KEY }],
  sameKey: (one: string, two: string) => one.replaceAll(' ', '') === two.replaceAll(' ', ''),
}

test('inventory: what concerns mail, and who wrote it', () => {
  const entries = inventory(RECORDS, options)
  assert.deepEqual(
    entries.map(({ writer, name, type, value }) => `${writer ?? '-'} ${name} ${type} ${value}`),
    [
      '- example.com MX 10 mx.example.com',
      '- example.com TXT "v=spf1 -all"',
      'ptt _dmarc.example.com TXT "v=DMARC1; p=none"',
      '- google._domainkey.example.com CNAME dkim.example.net',
      // The key of the signer under another name is none of his.
      '- old._domainkey.example.com TXT "v=DKIM1; k=rsa; p=AAAA"',
      'signer ptt._domainkey.example.com TXT "v=DKIM1;k=rsa;p=AAAA"',
      'ptt _submissions._tcp.example.com SRV 0 1 465 mail.example.com',
      '- _dmarc.news.example.com TXT "v=DMARC1; p=none"',
    ],
  )
})

test('inventory: of some domains only', () => {
  const entries = inventory(RECORDS, { ...options, domains: ['news.example.com'] })
  assert.deepEqual(
    entries.map(({ name }) => name),
    ['_dmarc.news.example.com'],
  )
})
