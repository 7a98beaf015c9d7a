import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndpointError, formatEndpoint, parseEndpoint } from './endpoint.ts'

const endpoints: [text: string, host: string, port: number, formatted: string][] = [
  ['192.0.2.1:465', '192.0.2.1', 465, '192.0.2.1:465'],
  ['192.0.2.1', '192.0.2.1', 53, '192.0.2.1:53'],
  ['[2001:db8::1]:465', '2001:db8::1', 465, '[2001:db8::1]:465'],
  ['[::]:465', '::', 465, '[::]:465'],
  ['[::1]', '::1', 53, '[::1]:53'],
  ['::1', '::1', 53, '[::1]:53'],
  ['localhost', 'localhost', 53, 'localhost:53'],
  ['ns1.example.com:5353', 'ns1.example.com', 5353, 'ns1.example.com:5353'],
  ['my_service:25', 'my_service', 25, 'my_service:25'],
  ['127.0.0.1:0', '127.0.0.1', 0, '127.0.0.1:0'],
  ['127.0.0.1:65535', '127.0.0.1', 65535, '127.0.0.1:65535'],
]
for (const [text, host, port, formatted] of endpoints) {
  test(`endpoint: ${text}`, () => {
    const endpoint = parseEndpoint(text, 53)
    assert.deepEqual(endpoint, { host, port })
    assert.equal(formatEndpoint(endpoint), formatted)
    assert.deepEqual(parseEndpoint(formatted), endpoint)
  })
}

const refused = [
  '',
  ':53',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:-1',
  '127.0.0.1:5 3',
  '127.0.0.1:53:53',
  '127.0.0',
  '300.1.1.1:53',
  '[127.0.0.1]:53',
  '[::1:53',
  '[::g]:53',
  '[::1]53',
  'a b:53',
  '-a.example:53',
  'a..example:53',
  'http://a.example:53',
  `${'a'.repeat(64)}.example:53`,
]
for (const text of refused) {
  test(`not an endpoint: '${text.slice(0, 30)}'`, () => {
    assert.throws(() => parseEndpoint(text, 53), EndpointError)
  })
}

test('endpoint: the port may be left out only where there is a default', () => {
  assert.throws(() => parseEndpoint('localhost'), { name: 'EndpointError', message: /port is missing/ })
})
