/** What others have written about their networks: addresses, SPF and CAA records, LIMITS, and when to come again. */

import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { parseIssue } from '../../../src/certificate/caa.ts'
import { parseRetryAfter } from '../../../src/certificate/schedule.ts'
import { inPrefix, parseAddress, reverseName, sameAddress } from '../../../src/dns/address.ts'
import { isHostName } from '../../../src/dns/name.ts'
import { isSpf, parseSpf, SpfError } from '../../../src/dns/spf.ts'
import { attempt, type Target } from '../target.ts'

const address: Target = {
  name: 'ip-address',
  words: ['192.0.2.1', '::', ':', '.', '::ffff:', '0', '255', '256', 'ffff', '10000', '%eth0', '2001:db8::'],
  run(input) {
    const text = input.toString()
    const read = parseAddress(text)
    // Node also reads zones.
    assert.equal(read?.family ?? 0, text.includes('%') ? 0 : isIP(text))
    if (read === null) return `no ${text.split(/[.:]/).length}`
    const { family, value } = read
    assert.ok(value >= 0n && value < 1n << (family === 4 ? 32n : 128n))
    assert.ok(isHostName(reverseName(read)))
    assert.ok(sameAddress(text, text.toUpperCase()) && inPrefix(read, read, family === 4 ? 32 : 128))
    return `${family} ${text.includes('::')} ${text.includes('.')} ${text.split(':').length}`
  },
}

const spf: Target = {
  name: 'spf',
  words: [
    'v=spf1 ',
    'include:',
    'redirect=',
    'exp=',
    'a:',
    'mx/24',
    '//64',
    'ip4:192.0.2.0/24',
    'ip6:',
  ].concat(['2001:db8::/32', 'ptr', 'exists:%{i}.', '-all', '~all', '?', '+', ' ', '/']),
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString()
    const { value: read, error } = attempt(() => parseSpf(text), SpfError)
    if (read === null) return `${isSpf(text)} ${error}`
    for (const mechanism of read.mechanisms) {
      if ('prefix' in mechanism) assert.ok(mechanism.prefix >= 0 && mechanism.prefix <= 128)
      if ('prefix4' in mechanism) assert.ok(mechanism.prefix4 <= 32 && mechanism.prefix6 <= 128)
    }
    return `${read.mechanisms.map(({ qualifier, name }) => qualifier + name)} ${read.redirect === null}`
  },
}

const caa: Target = {
  name: 'caa-issue',
  words: ['letsencrypt.org', ';', '=', ' ', '\t', 'validationmethods=dns-01', 'accounturi=', ',', 'a-.'],
  longestOctets: 64 * 1024,
  run(input) {
    const read = parseIssue(input.toString())
    if (read === null) return 'no'
    assert.equal(read.issuer, read.issuer.toLowerCase())
    for (const [tag, value] of read.parameters) {
      assert.match(tag, /^[a-z0-9-]+$/)
      assert.doesNotMatch(value, /[;\s]/)
    }
    return `${read.issuer.split('.').length} ${read.parameters.map(([tag]) => tag.length)}`
  },
}

const NOW_MS = Date.UTC(2026, 10, 21)

const retryAfter: Target = {
  name: 'retry-after',
  words: ['120', 'Fri, 31 Dec 1999 23:59:59 GMT', 'Sun, 06 Nov 1994 08:49:37 GMT', '-1', '1e9', ' ', '2026'],
  run(input) {
    const ms = parseRetryAfter(input.toString(), NOW_MS)
    assert.ok(ms === undefined || Number.isInteger(ms))
    return `${ms === undefined} ${ms !== undefined && ms < NOW_MS}`
  },
}

export const networkTargets: readonly Target[] = [address, spf, caa, retryAfter]
