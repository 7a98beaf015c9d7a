import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from './limits.ts'
import { formatServerLimits, parseServerLimits, type ServerLimits, serverLimits } from './server-limits.ts'

fc.configureGlobal({ seed: 9422 })

const parameters: [text: string, limits: ServerLimits][] = [
  ['RCPTMAX=20 MAILMAX=5', { rcptMax: 20, mailMax: 5 }], // RFC 9422 §5
  ['rcptmax=20', { rcptMax: 20 }],
  ['RCPTDOMAINMAX=999999', { rcptDomainMax: 999_999 }],
  ['', {}],
  // §3.7: a bad value, or one we do not know, is as if it were not there,
  ['RCPTMAX=0 MAILMAX=5', { mailMax: 5 }],
  ['RCPTMAX=1000000 MAILMAX=5', { mailMax: 5 }],
  ['RCPTMAX=twenty MAILMAX=5', { mailMax: 5 }],
  ['RCPTMAX MAILMAX=5', { mailMax: 5 }],
  ['MAILMAX=05 X-THING Y_Z=a=b', {}],
  // bad syntax makes nothing of the whole.
  ['RCPTMAX=20 MAILMAX=5; X', {}],
  ['RCPTMAX=20 =5', {}],
  ['RCPTMAX=20 MAIL.MAX=5', {}],
  ['RCPTMAX=20 MAILMAX=', {}],
]

test('what a server announces, RFC 9422 §3 and §4', () => {
  for (const [text, limits] of parameters) assert.deepEqual(parseServerLimits(text), limits, text)
})

test('what we announce is what is in force', () => {
  assert.equal(
    formatServerLimits(serverLimits({ ...LIMITS, recipients: 20, transactions: 5, recipientDomains: 7 })),
    'RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=7',
  )
  // §4.1: six digits at most.
  const many = {
    ...LIMITS,
    recipients: 999_999,
    transactions: 1_000_000,
    recipientDomains: Number.POSITIVE_INFINITY,
  }
  assert.equal(formatServerLimits(serverLimits(many)), 'RCPTMAX=999999')
})

test('property: what is encoded is decoded to the same, and any text is some limits', () => {
  const value = fc.integer({ min: 1, max: 999_999 })
  const limits = fc.record(
    { rcptMax: value, mailMax: value, rcptDomainMax: value },
    { requiredKeys: [], noNullPrototype: true },
  )
  fc.assert(
    fc.property(limits, announced => {
      assert.deepEqual(parseServerLimits(formatServerLimits(announced)), announced)
    }),
  )
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(RCPTMAX=\d{0,7} ?|[A-Z]+ ?|;)*$/)), text => {
      const read = parseServerLimits(text)
      assert.deepEqual(parseServerLimits(formatServerLimits(read)), read)
    }),
  )
})
