import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailHost } from '../destination.ts'
import { OPPORTUNISTIC } from '../tls-policy.ts'
import { candidatesOf } from './candidates.ts'
import { HostMemory } from './host-memory.ts'
import { type Source, usualSource } from './source.ts'

const host = (name: string): MailHost => ({
  name,
  found: 'unauthenticated',
  secure: false,
  preference: 10,
  addresses: null,
})
const REACHABLE = [
  {
    host: host('mx1.test'),
    policy: OPPORTUNISTIC,
    waived: false,
    addresses: ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
  },
  { host: host('mx2.test'), policy: OPPORTUNISTIC, waived: false, addresses: ['192.0.2.3'] },
]
const USUAL = usualSource('mail.example.com')
const order = (source: Source, isDead = (_: string) => false) =>
  candidatesOf(REACHABLE, source, 25, isDead).map(({ address }) => address)

test('candidates: host by host, IPv6 first, the families in turn', () => {
  assert.deepEqual(order(USUAL), ['2001:db8::1', '192.0.2.1', '192.0.2.2', '192.0.2.3'])
})

test('candidates: what did not answer lately comes last', () => {
  assert.deepEqual(
    order(USUAL, address => address === '2001:db8::1'),
    ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1'],
  )
})

test('candidates: only families that the source has, from its address', () => {
  const source = { ...USUAL, ipv4: '198.51.100.1', ipv6: null }
  assert.deepEqual(order(source), ['192.0.2.1', '192.0.2.2', '192.0.2.3'])
  assert.equal(candidatesOf(REACHABLE, source, 25, () => false)[0]?.localAddress, '198.51.100.1')
})

test('host memory: two minutes for who refuses, a quarter of an hour for who is silent, three days for TLS', () => {
  let nowMs = 0
  const memory = new HostMemory(() => nowMs)
  memory.failed('a', false)
  memory.failed('b', true)
  memory.tlsFailed('MX.test', false)
  memory.tlsFailed('off.test', true)
  const known = () => [memory.isDead('a'), memory.isDead('b'), memory.hasBrokenTls('mx.TEST')]
  assert.deepEqual(known(), [true, true, true])
  nowMs = 2 * 60_000
  assert.deepEqual(known(), [false, true, true])
  nowMs = 15 * 60_000
  assert.deepEqual(known(), [false, false, true])
  assert.equal(memory.hasBrokenTls('off.test'), true)
  nowMs = 6 * 3600_000
  assert.equal(memory.hasBrokenTls('off.test'), false)
  nowMs = 3 * 24 * 3600_000
  assert.deepEqual(known(), [false, false, false])
})

test('host memory: who answers is alive at once, and not everybody is remembered', () => {
  const memory = new HostMemory(() => 0)
  memory.failed('a', true)
  memory.answered('a')
  assert.equal(memory.isDead('a'), false)
  for (let n = 0; n <= 10_000; n++) memory.failed(String(n), true)
  assert.equal(memory.isDead('0'), false)
  assert.equal(memory.isDead('10000'), true)
})
