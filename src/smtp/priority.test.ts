import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import { parsePriority } from './priority.ts'

fc.configureGlobal({ seed: 6710 })

test('MT-PRIORITY, RFC 6710 §7: from -9 to 9', () => {
  for (let priority = -9; priority <= 9; priority++) assert.equal(parsePriority(String(priority)), priority)
  for (const value of ['', '10', '-10', '+1', '-0', '00', '01', '1.0', ' 1', 'high']) {
    // §4.1 (1)
    assert.throws(() => parsePriority(value), { code: 501, status: '5.5.2' }, value)
  }
})

test('property: any value is one that is written as it was, or an SmtpError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+]?\d{1,2}$/)), text => {
      try {
        assert.equal(String(parsePriority(text)), text)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
  )
})
