import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '../queue/queue.ts'
import { Extensions } from '../smtp/extension.ts'
import { inability } from './capability.ts'

const ARRIVED = 1_700_000_000_000

function messageWith(envelope: Partial<Message['envelope']>): Message {
  return {
    id: '01KAXE0000000000000000000A',
    reversePath: { localPart: 'eljefe', domain: 'bigbiz.com' },
    envelope: { body: '7BIT', smtputf8: false, ...envelope },
    arrivedMs: ARRIVED,
    expiresMs: ARRIVED + 1,
    sizeOctets: 1000,
    recipients: [],
  }
}

const by = (seconds: number, mode: 'R' | 'N') => ({ deliverBy: { seconds, mode, trace: false } })

const rows: [
  what: string,
  envelope: Partial<Message['envelope']>,
  afterMs: number,
  ehlo: string[],
  verdict: string | null,
][] = [
  ['nothing needed', {}, 0, [], null],
  ['RFC 2852 §6: mail.other.com wants 240 s', by(120, 'R'), 22_000, ['DELIVERBY 240'], 'next 5.3.3'],
  ['RFC 2852 §6: mail.other.com wants 30 s', by(120, 'R'), 22_000, ['DELIVERBY 30'], null],
  ['RFC 2852 §6: "did not include the DELIVERBY keyword"', by(120, 'R'), 22_000, ['SIZE'], 'next 5.3.3'],
  ['RFC 2852 §2: no minimum, a token after it', by(1, 'R'), 0, ['DELIVERBY ,token'], null],
  ['RFC 2852 §2: the minimum exactly', by(30, 'R'), 0, ['DELIVERBY 30'], null],
  ['RFC 2852 §4.1.4.2: N goes anywhere', by(120, 'N'), 22_000, [], null],
  ['RFC 2852 §3: the minimum is for R only', by(1, 'N'), 0, ['DELIVERBY 240'], null],
  ['RFC 2852 §4.1.3: too late', by(120, 'R'), 120_000, ['DELIVERBY'], 'failed 5.4.7'],
  ['RFC 6531 §3.2', { smtputf8: true }, 0, ['8BITMIME'], 'next 5.6.7'],
  ['RFC 6531', { smtputf8: true }, 0, ['SMTPUTF8'], null],
  ['RFC 6152 §3', { body: '8BITMIME' }, 0, [], 'next 5.6.3'],
  ['RFC 6152', { body: '8BITMIME' }, 0, ['8BITMIME'], null],
  ['RFC 1870 §6.1', {}, 0, ['SIZE 999'], 'failed 5.3.4'],
  ['RFC 1870 §6.1: that much', {}, 0, ['SIZE 1000'], null],
]
for (const [what, envelope, afterMs, ehlo, verdict] of rows)
  test(what, () => {
    const found = inability(new Extensions(ehlo), messageWith(envelope), ARRIVED + afterMs)
    assert.equal(found && `${found.action} ${found.status}`, verdict, found?.diagnostic)
  })
