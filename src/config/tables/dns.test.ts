import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, parseConfig } from '../load.ts'

function dns(table: string) {
  return parseConfig(`domain = "example.com"\n[dns]\n${table}\n`, '/etc/ptt/ptt.toml').dns
}

test('[dns]: what is not said is not asked for', () => {
  assert.deepEqual(dns(''), {
    egress: [],
    spf: [],
    spfAll: '~all',
    dmarc: 'none',
    dmarcRua: [],
    tlsrptRua: [],
    ttlSeconds: 3600,
  })
})

test('[dns]: addresses, mechanisms, places for reports', () => {
  const read = dns(`
egress = ["192.0.2.1", "2001:DB8::1"]
spf = ["include:_spf.example.net", "?a:other.example.com", "mx", "ip6:2001:db8::/32"]
dmarc_rua = ["dmarc@example.com", "mailto:b@example.net", "https://example.com/r"]
mta_sts = "mta-sts.txt"
ttl = "5m"`)
  assert.deepEqual(read.egress, ['192.0.2.1', '2001:db8::1'])
  assert.equal(read.spf.length, 4)
  assert.deepEqual(read.dmarcRua, [
    'mailto:dmarc@example.com',
    'mailto:b@example.net',
    'https://example.com/r',
  ])
  assert.deepEqual([read.mtaSts, read.ttlSeconds], ['/etc/ptt/mta-sts.txt', 300])
})

const wrong: [line: string, message: RegExp][] = [
  ['egress = ["mail.example.com"]', /dns\.egress.*"mail\.example\.com" is not an IP address/],
  ['egress = ["192.0.2.1:25"]', /is not an IP address.*without a port/],
  ['egress = ["[2001:db8::1]"]', /is not an IP address/],
  ['egress = ["192.0.2"]', /is not an IP address/],
  ['spf = ["-all"]', /dns\.spf.*is not a mechanism of SPF/],
  ['spf = ["include:a b"]', /is not a mechanism of SPF/],
  ['spf = ["redirect=example.net"]', /is not a mechanism of SPF/],
  ['spf_all = "+all"', /dns\.spf_all.*write "~all" or "-all" or "\?all"/],
  ['dmarc = "p=none"', /dns\.dmarc.*write "none" or "quarantine" or "reject"/],
  ['dmarc_rua = ["a@example.com,b@example.com"]', /dns\.dmarc_rua.*is not a place for reports/],
  ['tlsrpt_rua = ["http://example.com/"]', /is not a place for reports/],
  ['ttl = "0s"', /dns\.ttl.*1s to 7d/],
]
for (const [line, message] of wrong) {
  test(`[dns]: ${line} is wrong`, () => {
    assert.throws(
      () => dns(line),
      (error: unknown) => error instanceof ConfigError && message.test(error.message),
    )
  })
}
