import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, decodePart, encodeMessage, encodePart } from './record.ts'

const MESSAGE_1 =
  '{"v":1,"reversePath":{"localPart":"alice","domain":"example.test"},"envelope":{"body":"7BIT","smtputf8":false},' +
  '"arrivedMs":1000,"expiresMs":9000,"sizeOctets":3,"file":null,"open":1,"only":[{"index":0,"mailbox":' +
  '{"localPart":"bob","domain":"internet.test"},"destination":"internet.test","state":"pending","attempts":1,"dueMs":2000}]}'

test('records of version 1 are read', () => {
  const { envelope, only, ...fixed } = decodeMessage(Buffer.from(MESSAGE_1))
  assert.deepEqual(envelope, { body: '7BIT', smtputf8: false })
  assert.equal(only?.[0]?.dueMs, 2000)
  assert.equal(fixed.expiresMs, 9000)
  assert.deepEqual(decodePart(Buffer.from('{"v":1,"recipients":[]}')), { slots: [], attempts: [] })
})

test('what is written is of version 3 and is read as it was', () => {
  const record = { ...decodeMessage(Buffer.from(MESSAGE_1)), open: 2, only: null }
  const octets = encodeMessage({ ...record, envelope: { ...record.envelope, requireTls: true } })
  assert.match(octets.toString(), /^\{"v":3,/)
  assert.equal(decodeMessage(octets).envelope.requireTls, true)
  const part = { slots: [], attempts: [] }
  assert.deepEqual(decodePart(encodePart(part)), part)
})

test('a record of a later version is not read by halves', () => {
  assert.throws(() => decodeMessage(Buffer.from('{"v":4}')), {
    code: 'io',
    message: 'a record of version 4: this ptt reads versions 1, 2, 3',
  })
})
