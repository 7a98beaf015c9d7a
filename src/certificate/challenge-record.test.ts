import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Interpretation } from '../dns/answer.ts'
import { txtStrings } from '../dns/rdata.ts'
import type { Update } from '../dns/update.ts'
import { planAddition } from './challenge-record.ts'

const NAME = '_acme-challenge.mail.example.com'
const PLACE = { name: NAME, zone: 'example.com', primary: { host: '192.0.2.53', port: 53 } }
const txt = (value: string, ttlSeconds: number) =>
  ({ name: NAME, type: 'TXT', class: 'IN', ttlSeconds, data: txtStrings(value) }) as const
const answer = (...values: string[]): Interpretation<readonly Uint8Array[]> => ({
  kind: 'answer',
  records: values.map(txtStrings),
  ttlSeconds: 7,
  authenticated: false,
  name: NAME,
})
const negative = { ttlSeconds: 0, authenticated: false }

const FIRST: Update = {
  zone: 'example.com',
  prerequisites: [
    { kind: 'rrset does not exist', name: NAME, type: 'TXT' },
    { kind: 'rrset does not exist', name: NAME, type: 'CNAME' },
  ],
  changes: [{ kind: 'add', record: txt('ours', 60) }],
}

const plans: [what: string, found: Interpretation<readonly Uint8Array[]>, planned: unknown][] = [
  ['nothing is there', { kind: 'nxdomain', ...negative }, { kind: 'update', update: FIRST }],
  ['other types are there', { kind: 'nodata', ...negative }, { kind: 'update', update: FIRST }],
  ['ours is there', answer('theirs', 'ours'), { kind: 'done' }],
  [
    'theirs are there: they and their TTL stay',
    answer('theirs', 'and theirs'),
    {
      kind: 'update',
      update: {
        zone: 'example.com',
        prerequisites: [{ kind: 'rrset is', records: [txt('theirs', 7), txt('and theirs', 7)] }],
        changes: [{ kind: 'add', record: txt('ours', 7) }],
      },
    },
  ],
  [
    'a CNAME is there',
    { kind: 'alias', name: 'x.example.net', followed: 1, ...negative },
    { kind: 'trouble', reason: `192.0.2.53:53 has a CNAME at ${NAME}, and the resolver none (yet)` },
  ],
  [
    'a CNAME is there, and what it leads to',
    { kind: 'answer', records: [], name: 'x.example.com', ...negative },
    { kind: 'trouble', reason: `192.0.2.53:53 has a CNAME at ${NAME}, and the resolver none (yet)` },
  ],
  [
    'the primary does not answer',
    { kind: 'failure', code: 'TIMEOUT', reason: '192.0.2.53:53 did not answer' },
    { kind: 'trouble', reason: '192.0.2.53:53 did not answer' },
  ],
]
for (const [what, found, planned] of plans) {
  test(`adding a value: ${what}`, () => assert.deepEqual(planAddition(PLACE, 'ours', found), planned))
}
