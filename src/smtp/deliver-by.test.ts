import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDeliverBy, later, parseDeliverBy, remaining } from './deliver-by.ts'
import type { Envelope } from './envelope.ts'
import { SmtpError } from './error.ts'

fc.configureGlobal({ seed: 2852 })

type DeliverBy = NonNullable<Envelope['deliverBy']>

const values: [value: string, seconds: number, mode: 'R' | 'N', trace: boolean][] = [
  ['120;R', 120, 'R', false], // RFC 2852 §6
  ['98;R', 98, 'R', false], // RFC 2852 §6
  ['999999999;RT', 999_999_999, 'R', true],
  ['0;N', 0, 'N', false],
  ['-999999999;NT', -999_999_999, 'N', true],
]

test('BY, RFC 2852 §4', () => {
  for (const [value, seconds, mode, trace] of values) {
    assert.deepEqual(parseDeliverBy(value), { seconds, mode, trace })
    assert.equal(formatDeliverBy({ seconds, mode, trace }), value)
  }
  assert.deepEqual(parseDeliverBy('+60;rt'), { seconds: 60, mode: 'R', trace: true })
  assert.deepEqual(parseDeliverBy('-0;n'), { seconds: 0, mode: 'N', trace: false })
})

test('what is no BY, and R with nothing left, is 501 5.5.4', () => {
  const invalid = [
    '',
    '60',
    ';R',
    '60;',
    '60;T',
    '60;X',
    '60;RN',
    '60;TR',
    '1.5;R',
    '1000000000;N',
    '60 ;R',
    '--1;N',
  ]
  for (const value of [...invalid, '0;R', '+0;R', '-1;R', '-999999999;RT']) {
    assert.throws(() => parseDeliverBy(value), { code: 501, status: '5.5.4' }, value)
  }
})

test('what is left at the next hop, RFC 2852 §4.1.4', () => {
  const by = (seconds: number, mode: 'R' | 'N'): DeliverBy => ({ seconds, mode, trace: true })
  assert.deepEqual(remaining(by(120, 'R'), 22_000), by(98, 'R')) // §6
  assert.deepEqual(remaining(by(120, 'R'), 999), by(120, 'R'))
  // §4: R is for what is left; N says since when it is late.
  assert.deepEqual(remaining(by(120, 'R'), 500_000), by(1, 'R'))
  assert.deepEqual(remaining(by(120, 'N'), 500_000), by(-380, 'N'))
  assert.deepEqual(remaining(by(-999_999_999, 'N'), 5_000), by(-999_999_999, 'N'))
  const asked: Partial<Envelope> = { ret: 'FULL', deliverBy: by(9, 'N') }
  assert.deepEqual(later(asked, 2000), { ret: 'FULL', deliverBy: by(7, 'N') })
  const nothing: Partial<Envelope> = { ret: 'FULL' }
  assert.deepEqual(later(nothing, 2000), nothing)
})

const by = (mode: 'R' | 'N', min: number) =>
  fc.record(
    { seconds: fc.integer({ min, max: 999_999_999 }), mode: fc.constant(mode), trace: fc.boolean() },
    { noNullPrototype: true },
  )
const deliverBy = fc.oneof(by('R', 1), by('N', -999_999_999))

test('property: what is encoded is decoded to the same, now and later', () => {
  fc.assert(
    fc.property(deliverBy, fc.nat(), (value, elapsedMs) => {
      assert.deepEqual(parseDeliverBy(formatDeliverBy(value)), value)
      const left = remaining(value, elapsedMs)
      assert.deepEqual(parseDeliverBy(formatDeliverBy(left)), left)
    }),
  )
})

test('property: any value is one, and encoded again decodes to the same; or it is an SmtpError', () => {
  const value = fc.oneof(fc.string(), fc.stringMatching(/^[-+]?\d{1,10};[NRnr]T?$/))
  fc.assert(
    fc.property(value, text => {
      try {
        const parsed = parseDeliverBy(text)
        assert.deepEqual(parseDeliverBy(formatDeliverBy(parsed)), parsed)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
  )
})
