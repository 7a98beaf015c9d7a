import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeGitRepository } from '../../test/peers/git-repository.ts'
import { need } from '../../test/peers/need.ts'
import { temporaryFolder } from '../../test/peers/program.ts'
import { loadConfig } from '../config/load.ts'
import type { Settings } from '../dns-plan/plan.ts'
import { dnsSettings } from './dns-settings.ts'

interface Deployment {
  settings(asked?: readonly string[]): Promise<Settings>
  write(name: string, text: string): void
}

async function deployment(t: TestContext, tables: string): Promise<Deployment> {
  const repository = await makeGitRepository()
  t.after(() => repository.remove())
  await repository.commit({
    'example.org/domain.toml': '',
    'list.example.com/domain.toml': 'sign = "never"\n',
  })
  const folder = temporaryFolder('dns-settings')
  t.after(() => folder.remove())
  const write = (name: string, text: string): void => writeFileSync(join(folder.path, name), text)
  const head = `domain = "example.com"\ndirectory.repository = "${repository.path}"\n`
  write('ptt.toml', `${head}${tables}`)
  return {
    write,
    settings: (asked = []) => dnsSettings(loadConfig(join(folder.path, 'ptt.toml')), asked),
  }
}

test('ptt dns: the domain of ptt.toml and those of the repository; only ours', async t => {
  if (!need(t, 'git')) return
  const { settings } = await deployment(t, '')
  const all = await settings()
  assert.deepEqual(all.domains, ['example.com', 'example.org', 'list.example.com'])
  assert.deepEqual([...all.unsigned], ['list.example.com'])
  assert.deepEqual((await settings(['Example.ORG'])).domains, ['example.org'])
  await assert.rejects(
    settings(['example.net']),
    /example\.net is none of our domains: example\.com, example\.org/,
  )
  // On another machine than the signer's, all but DKIM can be looked at.
  assert.deepEqual(all.keys, [])
  assert.match(all.keysTrouble ?? '', /the signer has made no key yet/)
})

test('ptt dns: the id of a policy is made of it, whatever ends its lines', async t => {
  if (!need(t, 'git')) return
  const { settings, write } = await deployment(t, '[dns]\nmta_sts = "sts.txt"\n')
  await assert.rejects(settings(), /sts\.txt: there is no such file/)
  write('sts.txt', 'mode: testing\n')
  await assert.rejects(settings(), /is no MTA-STS policy .*"version: STSv1" is missing/)
  const policy = 'version: STSv1\nmode: testing\nmx: mx.example.com\nmax_age: 86400\n'
  write('sts.txt', policy)
  const { mtaStsId } = await settings()
  assert.match(mtaStsId ?? '', /^[a-z0-9]{1,32}$/)
  write('sts.txt', policy.replaceAll('\n', '\r\n'))
  assert.equal((await settings()).mtaStsId, mtaStsId)
  write('sts.txt', policy.replace('testing', 'enforce'))
  assert.notEqual((await settings()).mtaStsId, mtaStsId)
})

test('ptt dns: addresses are those of [dns], or of the sources, with the name each says', async t => {
  if (!need(t, 'git')) return
  const sources = `[[source]]
name = "a"
addresses = ["192.0.2.1", "2001:db8::1"]
hostname = "a.example.com"
[[source]]
name = "b"
addresses = ["192.0.2.2"]
`
  const { settings, write } = await deployment(t, '[relay]\nsources = "sources.toml"\n')
  // The file is where the relay is: without it nothing is known of addresses.
  assert.deepEqual((await settings()).egress, [])
  write('sources.toml', sources)
  assert.deepEqual((await settings()).egress, [
    { address: '192.0.2.1', hostname: 'a.example.com' },
    { address: '2001:db8::1', hostname: 'a.example.com' },
    { address: '192.0.2.2', hostname: 'mail.example.com' },
  ])
  const nat = await deployment(
    t,
    '[relay]\nsources = "sources.toml"\n[dns]\negress = ["2001:DB8:0::1", "198.51.100.1"]\n',
  )
  nat.write('sources.toml', sources)
  assert.deepEqual((await nat.settings()).egress, [
    { address: '2001:db8::1', hostname: 'a.example.com' },
    { address: '198.51.100.1', hostname: 'mail.example.com' },
  ])
})

test('docs/dns.md: the table [dns] in it is one', async t => {
  if (!need(t, 'git')) return
  const manual = readFileSync(join(import.meta.dirname, '../../docs/dns.md'), 'utf8')
  const [, table = ''] = /```toml\n(\[dns\][\s\S]*?)```/.exec(manual) ?? []
  const { settings, write } = await deployment(t, table)
  write('mta-sts.txt', 'version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n')
  const { egress, dmarc, dmarcRua, tlsrptRua, mtaStsId, spf } = await settings()
  assert.deepEqual(
    [egress.length, dmarc, dmarcRua, tlsrptRua, spf],
    [2, 'reject', ['mailto:dmarc@example.com'], ['mailto:tls@example.com'], ['include:_spf.example.net']],
  )
  assert.notEqual(mtaStsId, null)
})
