/** `ptt dns` against BIND, Knot and PowerDNS: the command itself, on zones that have more in them than what is ours. */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatKeyRecord } from '../../src/dkim/key-record.ts'
import type { ResourceRecord } from '../../src/dns/message.ts'
import { txtStrings, txtText } from '../../src/dns/rdata.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import type { Change } from '../../src/dns/update.ts'
import { judge } from '../../src/dns-plan/judge.ts'
import { applyItem } from '../../src/dns-plan/plan.ts'
import { dmarcWish } from '../../src/dns-plan/policies.ts'
import { srvWishes } from '../../src/dns-plan/services.ts'
import { View } from '../../src/dns-plan/view.ts'
import { askPrimary, sendUpdate } from '../../src/net/nsupdate.ts'
import { transferZone } from '../../src/net/nsupdate-transfer.ts'
import { Resolver } from '../../src/net/resolver.ts'
import { keyStatement, startBind, startBindResolver, startBindSecondary } from '../peers/bind.ts'
import type { DnsPeer, PrimaryPeerOptions } from '../peers/dns.ts'
import { makeGitRepository } from '../peers/git-repository.ts'
import { startKnot } from '../peers/knot.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { startPowerDns } from '../peers/powerdns.ts'
import { run, temporaryFolder } from '../peers/program.ts'

const tsigKey = parseTsigKey('x._update.example.com:hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=')
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEY_RECORD = formatKeyRecord(privateKey)
const VERIFICATION = 'verification=0123456789'

const HEAD = '$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n'
const ZONES = {
  'example.com': `${HEAD}@ MX 10 mx
@ TXT "${VERIFICATION}"
mx A 192.0.2.9
mail A 192.0.2.1
ptt._domainkey TXT ${txtStrings(KEY_RECORD)
    .map(string => `"${Buffer.from(string)}"`)
    .join(' ')}
`,
  '2.0.192.in-addr.arpa': `$TTL 60
@ SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 5
@ NS ns.example.com.
1 PTR mail.example.com.
2 PTR other.example.com.
`,
}

const primaries: {
  name: string
  program: string
  start: (options: PrimaryPeerOptions) => Promise<DnsPeer>
}[] = [
  { name: 'BIND', program: 'named', start: startBind },
  { name: 'Knot', program: 'knotd', start: startKnot },
  { name: 'PowerDNS', program: 'pdns_server', start: startPowerDns },
]

interface Told {
  readonly subject: string
  readonly verdict: string
  readonly reason: string
  readonly applied?: string
  readonly failure?: string
  readonly change: { readonly remove: string[]; readonly add: string[] } | null
}

class Operator {
  readonly port: number
  readonly #folder: string
  readonly #head: string

  constructor(folder: string, head: string, port: number) {
    this.#folder = folder
    this.#head = head
    this.port = port
  }

  path(name: string): string {
    return join(this.#folder, name)
  }

  configure(dns: string): void {
    writeFileSync(this.path('ptt.toml'), `${this.#head}\n[dns]\n${dns}\n`)
  }

  async ptt(...args: string[]): Promise<{ code: number; output: string }> {
    const main = join(import.meta.dirname, '../../src/cli/main.ts')
    return run(process.execPath, [main, 'dns', ...args], { cwd: this.#folder })
  }

  /** What is said in JSON, the status, and the verdicts that are not `ok`. */
  async told(...args: string[]) {
    const { code, output } = await this.ptt(...args, '--json')
    const lines = output.trim().split('\n')
    assert.ok(
      lines.every(line => line.startsWith('{')),
      output,
    )
    const told = lines.map(line => JSON.parse(line) as Told)
    const wrong = Object.fromEntries(
      told.filter(({ verdict }) => verdict !== 'ok').map(({ subject, verdict }) => [subject, verdict]),
    )
    return { code, told, wrong }
  }

  async texts(name: string): Promise<string[]> {
    const found = await askPrimary({ host: '127.0.0.1', port: this.port }, name, 'TXT')
    return found.kind === 'answer' ? found.records.map(txtText).toSorted() : []
  }

  async change(...changes: Change[]): Promise<void> {
    const update = { zone: 'example.com', prerequisites: [], changes }
    assert.deepEqual(await sendUpdate({ host: '127.0.0.1', port: this.port }, update, tsigKey), {
      kind: 'done',
    })
  }
}

async function operator(t: TestContext, start: (options: PrimaryPeerOptions) => Promise<DnsPeer>) {
  const primary = await start({ zones: ZONES, tsigKey, types: ['TXT', 'SRV'] })
  t.after(() => primary.stop())
  const forward = Object.fromEntries(Object.keys(ZONES).map(zone => [zone, primary.port]))
  const resolver = await startBindResolver({ forward })
  t.after(() => resolver.stop())
  const repository = await makeGitRepository()
  t.after(() => repository.remove())
  await repository.commit({ 'example.com/domain.toml': '' })
  const folder = temporaryFolder('dns-plan')
  t.after(() => folder.remove())
  for (const name of ['dkim', 'dns']) mkdirSync(join(folder.path, name))
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  writeFileSync(join(folder.path, 'dkim/ptt.pem'), pem, { mode: 0o600 })
  writeFileSync(join(folder.path, 'dns/tsig.key'), keyStatement(tsigKey), { mode: 0o600 })
  const head = `domain = "example.com"
[directory]
repository = "${repository.path}"
[signer]
key = "dkim/ptt.pem"
primary = "127.0.0.1:${primary.port}"
authoritative = ["127.0.0.1:${primary.port}"]
resolver = ["127.0.0.1:${resolver.port}"]`
  return new Operator(folder.path, head, primary.port)
}

const txt = (name: string, text: string, ttlSeconds = 60): ResourceRecord => ({
  ...{ name, type: 'TXT', class: 'IN', ttlSeconds, data: txtStrings(text) },
})

const ADDRESS = 'egress = ["192.0.2.1"]'

for (const { name, program, start } of primaries) {
  test(`ptt dns: ${name}`, async t => {
    if (!need(t, program, 'named', 'git')) return
    const at = await operator(t, start)

    await t.test('what is missing is told, and what is right', async () => {
      at.configure(`${ADDRESS}\ndmarc_rua = ["dmarc@example.com"]`)
      const { code, told, wrong } = await at.told('check')
      assert.equal(code, 2)
      assert.deepEqual(wrong, {
        SPF: 'missing',
        DMARC: 'missing',
        'SRV submissions': 'missing',
        'SRV submission': 'missing',
      })
      assert.deepEqual(
        told.filter(({ verdict }) => verdict === 'ok').map(({ subject }) => subject),
        ['PTR 192.0.2.1', 'EHLO 192.0.2.1', 'DKIM ptt', 'MX'],
      )
      // Looking has changed nothing.
      assert.deepEqual(await at.texts('_ptt.example.com'), [])
    })

    await t.test('apply writes what is missing, beside what is there', async () => {
      const { code, told } = await at.told('apply')
      assert.deepEqual(
        [code, told.filter(({ applied }) => applied === 'written').length],
        [0, 5],
        JSON.stringify(told),
      )
      assert.deepEqual(await at.texts('example.com'), ['v=spf1 ip4:192.0.2.1 ~all', VERIFICATION])
      assert.deepEqual(await at.texts('mail.example.com'), ['v=spf1 ip4:192.0.2.1 -all'])
      assert.deepEqual(await at.texts('_dmarc.example.com'), [
        'v=DMARC1; p=none; rua=mailto:dmarc@example.com',
      ])
      const srv = await askPrimary(
        { host: '127.0.0.1', port: at.port },
        '_submission._tcp.example.com',
        'SRV',
      )
      assert.deepEqual(srv.kind === 'answer' && srv.records, [
        { priority: 0, weight: 0, port: 0, target: '.' },
      ])
      // The TTL of the RRset is that which was there: a foreign record is not touched at all.
      const apex = await askPrimary({ host: '127.0.0.1', port: at.port }, 'example.com', 'TXT')
      assert.equal(apex.kind === 'answer' && apex.ttlSeconds, 60)
      assert.equal((await at.texts('_ptt.example.com')).length, 5)
      const again = await at.told('apply')
      assert.deepEqual([again.code, again.told.filter(({ applied }) => applied !== undefined)], [0, []])
      assert.equal((await at.told('check')).code, 0)
    })

    await t.test('list tells what the zone has and who wrote it', async () => {
      const { code, output } = await at.ptt('list', '--json')
      const entries = output
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      assert.deepEqual(
        entries.map(({ writer, name, type }) => `${writer} ${name} ${type}`),
        [
          'null example.com MX',
          'ptt example.com TXT',
          'ptt _dmarc.example.com TXT',
          'signer ptt._domainkey.example.com TXT',
          'ptt _submission._tcp.example.com SRV',
          'ptt _submissions._tcp.example.com SRV',
          'ptt mail.example.com TXT',
        ],
      )
      assert.equal(code, 0)
    })

    await t.test('what ptt wrote follows the configuration', async () => {
      at.configure(`${ADDRESS}\ndmarc = "reject"\ntlsrpt_rua = ["tls@example.com"]`)
      const { wrong } = await at.told('check')
      assert.deepEqual(wrong, { DMARC: 'differs', TLSRPT: 'missing' })
      const { told } = await at.told('plan')
      assert.deepEqual(told.find(({ subject }) => subject === 'DMARC')?.change, {
        remove: ['"v=DMARC1; p=none; rua=mailto:dmarc@example.com"'],
        add: ['"v=DMARC1; p=reject"'],
      })
      const plan = await at.ptt('plan')
      assert.equal(plan.code, 2)
      assert.match(
        plan.output,
        /- _dmarc\.example\.com 3600 TXT "v=DMARC1; p=none; rua=mailto:dmarc@example\.com"/,
      )
      assert.match(plan.output, /\+ _dmarc\.example\.com 3600 TXT "v=DMARC1; p=reject"/)
      assert.equal((await at.told('apply')).code, 0)
      assert.deepEqual(await at.texts('_dmarc.example.com'), ['v=DMARC1; p=reject'])
      at.configure(`${ADDRESS}\ndmarc = "reject"`)
      assert.deepEqual((await at.told('check')).wrong, { TLSRPT: 'differs' })
      assert.equal((await at.told('apply')).code, 0)
      assert.deepEqual(await at.texts('_smtp._tls.example.com'), [])
      assert.equal((await at.texts('_ptt.example.com')).length, 5)
    })

    await t.test('what somebody changed by hand is his, until that is said otherwise', async () => {
      const record = txt('_dmarc.example.com', 'v=DMARC1; p=none', 3600)
      await at.change({ kind: 'delete rrset', name: record.name, type: 'TXT' }, { kind: 'add', record })
      assert.deepEqual((await at.told('check')).wrong, { DMARC: 'foreign' })
      const left = await at.told('apply')
      assert.deepEqual([left.code, left.wrong], [2, { DMARC: 'foreign' }])
      assert.deepEqual(await at.texts('_dmarc.example.com'), ['v=DMARC1; p=none'])
      const elsewhere = await at.ptt('apply', '--replace', 'example.com')
      assert.deepEqual([elsewhere.code, /there is _dmarc\.example\.com/.test(elsewhere.output)], [1, true])
      assert.equal((await at.told('apply', '--replace', '_dmarc.example.com')).code, 0)
      assert.deepEqual(await at.texts('_dmarc.example.com'), ['v=DMARC1; p=reject'])
    })

    await t.test("somebody else's SPF stays, and counts if it allows the relay", async () => {
      const ours = txt('example.com', 'v=spf1 ip4:192.0.2.1 ~all')
      const theirs = txt('example.com', 'v=spf1 ip4:198.51.100.0/24 -all')
      await at.change({ kind: 'delete record', record: ours }, { kind: 'add', record: theirs })
      const { told, wrong } = await at.told('apply')
      assert.deepEqual(wrong, { SPF: 'foreign' })
      assert.match(
        told.find(({ verdict }) => verdict === 'foreign')?.reason ?? '',
        /not allow 192\.0\.2\.1 \(fail:/,
      )
      assert.deepEqual(await at.texts('example.com'), ['v=spf1 ip4:198.51.100.0/24 -all', VERIFICATION])
      const both = txt('example.com', 'v=spf1 ip4:198.51.100.0/24 a:mail.example.com -all')
      await at.change({ kind: 'delete record', record: theirs }, { kind: 'add', record: both })
      assert.equal((await at.told('check')).code, 0)
    })

    await t.test('a key that the primary does not know changes nothing', async () => {
      const unknown = { ...tsigKey, secret: Buffer.alloc(32) }
      writeFileSync(at.path('dns/tsig.key'), keyStatement(unknown), { mode: 0o600 })
      at.configure(`${ADDRESS}\ndmarc = "quarantine"`)
      const { code, told } = await at.told('apply')
      const failed = told.filter(({ applied }) => applied === 'failed')
      assert.deepEqual([code, failed.map(({ subject }) => subject)], [2, ['DMARC']])
      assert.match(failed[0]?.failure ?? '', /another secret|compare the secrets/)
      assert.deepEqual(await at.texts('_dmarc.example.com'), ['v=DMARC1; p=reject'])
    })

    await t.test('an address whose name is another', async () => {
      at.configure('egress = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]\ndmarc = "reject"')
      const { wrong, told } = await at.told('check')
      assert.equal(wrong['PTR 192.0.2.2'], 'differs')
      assert.equal(wrong['PTR 192.0.2.3'], 'missing')
      assert.ok(told.some(({ reason }) => reason.includes('add mail.example.com A 192.0.2.2')))
    })
  })
}

for (const { name, program, start } of primaries) {
  test(`ptt dns: ${name} does not let the key write SRV, and that is told`, async t => {
    if (!need(t, program, 'named')) return
    const primary = await start({ zones: ZONES, tsigKey, types: ['TXT'] })
    t.after(() => primary.stop())
    const peer = await startBindResolver({ forward: { 'example.com': primary.port } })
    t.after(() => peer.stop())
    const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: peer.port }] })
    t.after(() => resolver.close())
    const endpoint = { host: '127.0.0.1', port: primary.port }
    const view = new View({
      ...{ resolver, primary: { zone: 'example.com', endpoint }, authoritative: [endpoint] },
    })
    const look = view.look.bind(view)
    const doors = { hostname: 'mail.example.com', port: 465, starttlsPort: null }
    const [wish] = srvWishes('example.com', doors, 60)
    assert.ok(wish)
    const item = async () => judge(wish, await look(wish.name, wish.type))
    const line = await applyItem(item, () => false, { tsigKey, look })
    assert.equal(line?.applied?.kind, 'failed')
    const reason = line?.applied?.kind === 'failed' ? line.applied.reason : ''
    assert.match(reason, /_submissions\._tcp\.example\.com/)
    assert.match(reason, /does not let|let it change|let the key/)
    const seen = await look(wish.name, 'SRV')
    assert.deepEqual(seen.kind === 'seen' && seen.records, [])
  })
}

test('ptt dns: who changes the records at the same time is not overwritten', async t => {
  if (!need(t, 'named')) return
  const primary = await startBind({ zones: ZONES, tsigKey })
  t.after(() => primary.stop())
  const peer = await startBindResolver({ forward: { 'example.com': primary.port } })
  t.after(() => peer.stop())
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: peer.port }] })
  t.after(() => resolver.close())
  const endpoint = { host: '127.0.0.1', port: primary.port }
  const view = new View({
    ...{ resolver, primary: { zone: 'example.com', endpoint }, authoritative: [endpoint] },
  })
  const look = view.look.bind(view)
  const wish = dmarcWish({ domain: 'example.com', ttlSeconds: 60 }, 'reject', [])
  let looks = 0
  const theirs = 'v=DMARC1; p=quarantine'
  const item = async () => {
    const finding = await judge(wish, await look(wish.name, wish.type))
    // Between the look and the update.
    if (++looks === 1) {
      const changes = [{ kind: 'add', record: txt(wish.name, theirs) } as const]
      await sendUpdate(endpoint, { zone: 'example.com', prerequisites: [], changes }, tsigKey)
    }
    return finding
  }
  const line = await applyItem(item, () => false, { tsigKey, look })
  assert.equal(looks, 2)
  assert.deepEqual([line?.finding.verdict, line?.applied], ['foreign', null])
  const seen = await look(wish.name, 'TXT')
  assert.ok(seen.kind === 'seen')
  assert.deepEqual(
    seen.records.map(({ text }) => text),
    [theirs],
  )
  // Two operators at once: one of them writes, the other finds it done.
  const both = await Promise.all(
    [1, 2].map(() =>
      applyItem(
        async () =>
          judge({ ...wish, name: '_dmarc.sub.example.com' }, await look('_dmarc.sub.example.com', 'TXT')),
        () => false,
        { tsigKey, look },
      ),
    ),
  )
  assert.ok(
    both.every(line => line?.applied?.kind === 'written' || line?.finding.verdict === 'ok'),
    JSON.stringify(both),
  )
  const zone = await transferZone(endpoint, 'example.com', tsigKey)
  assert.ok(zone.kind === 'zone')
  const list = zone.records.filter(({ name, type }) => type === 'TXT' && name === '_ptt.example.com')
  assert.equal(list.length, 1)
})

test('ptt dns: what the primary has and a secondary has not is not right yet', async t => {
  if (!need(t, 'named')) return
  const primary = await startBind({ zones: ZONES, tsigKey })
  t.after(() => primary.stop())
  const secondary = await startBindSecondary({ zone: 'example.com', primary: primary.port, tsigKey })
  t.after(() => secondary.stop())
  const peer = await startBindResolver({ forward: { 'example.com': primary.port } })
  t.after(() => peer.stop())
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: peer.port }] })
  t.after(() => resolver.close())
  const endpoint = { host: '127.0.0.1', port: primary.port }
  const behind = { host: '127.0.0.1', port: secondary.port }
  const view = (authoritative: { host: string; port: number }[]) =>
    new View({ resolver, primary: { zone: 'example.com', endpoint }, authoritative, timeoutMs: 1000 })
  const wish = dmarcWish({ domain: 'example.com', ttlSeconds: 60 }, 'reject', [])
  const item = (from: View) => async () => judge(wish, await from.look(wish.name, wish.type))
  const both = view([endpoint, behind])
  const applied = await applyItem(item(both), () => false, { tsigKey, look: both.look.bind(both) })
  assert.deepEqual(applied?.applied, { kind: 'written' })
  const finding = await item(both)()
  assert.equal(finding?.verdict, 'differs')
  assert.equal(
    finding?.reason,
    `right at the primary, not everywhere: 127.0.0.1:${secondary.port} has nothing`,
  )
  // A zone whose primary nobody can reach, as where it is hosted: looked at all the same, and not to be written.
  const nobody = { host: '127.0.0.1', port: await freePort() }
  const hosted = new View({
    resolver,
    primary: { zone: 'example.com', endpoint: nobody },
    authoritative: [behind],
  })
  const seen = await item(hosted)()
  assert.deepEqual([seen?.verdict, seen?.change], ['missing', null])
  assert.match(seen?.obstacle ?? '', /connection refused/)
  await secondary.stop()
  assert.equal((await item(both)())?.verdict, 'cannot know')
  assert.equal((await item(view([endpoint]))())?.verdict, 'ok')
})
