import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Networks, UNREACHABLE } from './networks.ts'

const addresses: [address: string, unreachable: boolean][] = [
  ['127.0.0.1', true],
  ['10.1.2.3', true],
  ['172.15.255.255', false],
  ['172.16.0.1', true],
  ['172.32.0.1', false],
  ['192.168.1.1', true],
  ['169.254.169.254', true],
  ['100.64.0.1', true],
  ['0.0.0.0', true],
  ['255.255.255.255', true],
  ['8.8.8.8', false],
  ['::1', true],
  ['::', true],
  ['fe80::1', true],
  ['fd00::1', true],
  ['::ffff:127.0.0.1', true],
  ['::ffff:8.8.8.8', false],
  ['2a00:1450:400c:c07::1a', false],
  ['not an address', false],
]
for (const [address, unreachable] of addresses)
  test(`networks: ${address}`, () => assert.equal(UNREACHABLE.has(address), unreachable))

test('networks: single addresses and both families', () => {
  const networks = new Networks(['192.0.2.1', '2001:db8::/32'])
  assert.equal(networks.has('192.0.2.1'), true)
  assert.equal(networks.has('192.0.2.2'), false)
  assert.equal(networks.has('2001:db8:1::2'), true)
})

for (const bad of ['192.0.2.1/33', 'example.com', '::/129', '192.0.2.0/x', ''])
  test(`networks: '${bad}' is none`, () => assert.throws(() => new Networks([bad]), RangeError))
