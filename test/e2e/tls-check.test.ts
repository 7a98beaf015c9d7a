/** `ptt tls check` as an operator types it: against a resolver, and a mail host with TLS. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import type { ResourceRecord } from '../../src/dns/message.ts'
import { txtStrings } from '../../src/dns/rdata.ts'
import { run } from '../peers/program.ts'
import { startScriptedDns } from '../peers/scripted-dns.ts'
import { type SmtpScript, startScriptedSmtp } from '../peers/scripted-smtp.ts'

const PTT = join(import.meta.dirname, '../../src/cli/main.ts')
const MX = await issue(await makeAuthority('x.test'), { names: ['mx.x.test'] })

async function check(
  t: TestContext,
  script: SmtpScript,
  more: readonly ResourceRecord[] = [],
  relay: string[] = [],
) {
  const smtp = await startScriptedSmtp(script)
  const records: ResourceRecord[] = [
    {
      name: 'x.test',
      type: 'MX',
      class: 'IN',
      ttlSeconds: 60,
      data: { preference: 10, exchange: 'mx.x.test' },
    },
    { name: 'mx.x.test', type: 'A', class: 'IN', ttlSeconds: 60, data: '127.0.0.1' },
    ...more,
  ]
  const dns = await startScriptedDns(({ query }) => {
    const [question] = query.questions
    return [
      { answers: records.filter(({ name, type }) => name === question?.name && type === question.type) },
    ]
  })
  const folder = mkdtempSync(join(tmpdir(), 'ptt-tls-'))
  t.after(async () => {
    await dns.stop()
    await smtp.stop()
    rmSync(folder, { recursive: true })
  })
  const lines = [
    'domain = "example.com"',
    '[relay]',
    `resolver = ["${dns.endpoint.host}:${dns.endpoint.port}"]`,
    `smtp_port = ${smtp.port}`,
    'private_networks = ["127.0.0.0/8"]',
    ...relay,
  ]
  writeFileSync(join(folder, 'ptt.toml'), `${lines.join('\n')}\n`)
  writeFileSync(
    join(folder, 'tls.toml'),
    '[[tls]]\nname = "The bank"\ndomains = ["x.test"]\nlevel = "verify"\n',
  )
  return run(process.execPath, [PTT, 'tls', 'check', 'x.test', '-c', join(folder, 'ptt.toml')])
}

test('ptt tls check: TLS of anybody goes, and is told as what it is', async t => {
  const { code, output } = await check(t, { ehlo: ['STARTTLS'], tls: MX })
  assert.equal(code, 1, output)
  assert.match(output, /^weak +MX +10 mx\.x\.test, not authenticated by DNSSEC$/m)
  assert.match(
    output,
    /^weak +session +mx\.x\.test {2}mx\.x\.test \[127\.0\.0\.1\]: TLSv1\.3 \S+, certificate for mx\.x\.test, not verified/m,
  )
  assert.match(output, /^weak +verdict +mail goes, unprotected/m)
})

test('ptt tls check: clear text is told', async t => {
  const { output } = await check(t, { ehlo: [] })
  assert.match(output, /^weak +session +mx\.x\.test {2}mx\.x\.test \[127\.0\.0\.1\]: clear text$/m)
})

test('ptt tls check: what tls.toml wants, and the host does not have', async t => {
  const { code, output } = await check(t, { ehlo: ['STARTTLS'], tls: MX }, [], ['tls = "tls.toml"'])
  assert.equal(code, 2, output)
  assert.match(output, /^ok +tls\.toml +tls\.toml:1: The bank$/m)
  assert.match(output, /^bad +session .*TLS is required \(tls\.toml:1: The bank\)/m)
  assert.match(output, /^bad +verdict +mail waits/m)
})

test('ptt tls check: a policy that cannot be had is told with the reason', async t => {
  const data = txtStrings('v=STSv1; id=1')
  const record = { name: '_mta-sts.x.test', type: 'TXT', class: 'IN', ttlSeconds: 60, data } as const
  const { output } = await check(t, { ehlo: [] }, [record])
  assert.match(output, /^weak +MTA-STS .*sts-policy-fetch-error/m)
})
