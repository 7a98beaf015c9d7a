/** Certificates as strangers show them, and the TLSA records that say which is right. */

import assert from 'node:assert/strict'
import { pathLength } from '../../../src/dns/path-length.ts'
import type { Tlsa } from '../../../src/dns/rdata.ts'
import { objectionToNames, usableTlsa, verifyChain } from '../../../src/dns/tlsa.ts'
import { attempt, type Target } from '../target.ts'

const NOW_MS = Date.UTC(2026, 10, 21)
const NAMES = ['mx.example.com', 'example.com']

/** A certificate in DER; three octets before it are usage, selector and matching type of a record with what follows. */
const certificate: Target = {
  name: 'tlsa',
  words: [
    '3082',
    '30',
    '02',
    '0603551d13',
    '0603551d11',
    'a3',
    '0101ff',
    '020100',
    '0500',
    '80',
    '84ffffffff',
    '040e',
  ].map(digits => Buffer.from(digits, 'hex')),
  maxOctets: 2000,
  run(input) {
    const [usage = 0, selector = 0, matchingType = 0] = input
    const der = input.subarray(3)
    const records: Tlsa[] = [{ usage, selector, matchingType, certificate: der }]
    const usable = usableTlsa([
      ...records,
      { usage: 3, selector: 1, matchingType: 1, certificate: der.subarray(0, 32) },
    ])
    for (const record of usable)
      assert.ok((record.usage === 2 || record.usage === 3) && record.selector < 2 && record.matchingType < 3)
    const length = pathLength(der)
    assert.ok(length === null || length >= 0, `a path of ${length}`)
    const { value: objection, error } = attempt(() => objectionToNames(der, NAMES), Error)
    const verdict = verifyChain(usable, [der, der], NAMES, NOW_MS)
    // Who is no certificate is nobody.
    if (error !== null) assert.equal(verdict.kind, 'mismatch')
    return `${usable.length} ${length} ${error === null ? objection === null : 'none'} ${verdict.kind}`
  },
}

export const certificateTargets: readonly Target[] = [certificate]
