/** Other people's clients against the sandbox's server: dig, BIND's nsupdate, Knot's knsupdate. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { formatTsigKey, parseTsigKey, TSIG_ALGORITHMS, type TsigKey } from '../../src/dns/tsig.ts'
import { silent } from '../../src/observe/event.ts'
import { type DnsServer, startDnsServer } from '../../src/sandbox/dns-server.ts'
import { need, which } from '../peers/need.ts'
import { type Finished, run } from '../peers/program.ts'

const SECRET = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')

async function start(t: TestContext, tsigKey: TsigKey): Promise<DnsServer> {
  const server = await startDnsServer({
    zones: [
      { origin: '.', records: [{ name: '*', type: 'MX', data: '10 mx.test' }] },
      { origin: 'example.com', records: [{ name: 'long', type: 'TXT', data: 'x'.repeat(3000) }] },
    ],
    tsigKey,
    log: silent,
  })
  t.after(() => server.close())
  return server
}

function texts(server: DnsServer, name: string): string[] {
  const records = server.zones().find(zone => zone.origin === 'example.com')?.records ?? []
  return records.filter(record => record.name === name && record.type === 'TXT').map(record => record.data)
}

for (const algorithm of TSIG_ALGORITHMS) {
  for (const program of ['nsupdate', 'knsupdate']) {
    test(`sandbox DNS: ${program}, ${algorithm}`, async t => {
      if (!need(t, program)) return
      const key = parseTsigKey(`x.example:${algorithm}:${SECRET}`)
      const server = await start(t, key)
      const update = (lines: string[], by: TsigKey, args: string[] = []): Promise<Finished> => {
        const [name, kind, secret] = formatTsigKey(by).split(':')
        const input = [`server 127.0.0.1 ${server.port}`, 'zone example.com.', ...lines, 'send', ''].join(
          '\n',
        )
        return run(which(program) ?? program, [...args, '-y', `${kind}:${name}:${secret}`], { input })
      }
      // Both verify the MAC of the reply, and fail without it.
      const added = await update(
        ['prereq nxrrset a.example.com. TXT', 'update add a.example.com. 60 TXT "one"'],
        key,
        ['-v'],
      )
      assert.equal(added.code, 0, added.output)
      assert.deepEqual(texts(server, 'a'), ['one'])
      // Over UDP.
      const replaced = await update(
        [
          'prereq yxrrset a.example.com. TXT "one"',
          'update delete a.example.com. TXT',
          'update add a.example.com. 60 TXT "two"',
        ],
        key,
      )
      assert.equal(replaced.code, 0, replaced.output)
      assert.deepEqual(texts(server, 'a'), ['two'])

      const second = await update(
        ['prereq nxrrset a.example.com. TXT', 'update add a.example.com. 60 TXT "three"'],
        key,
      )
      assert.match(second.output, /YXRRSET/)
      const forbidden = await update(['update add a.example.com. 60 A 192.0.2.1'], key)
      assert.match(forbidden.output, /REFUSED/)
      const wrong = { ...key, secret: Buffer.alloc(32, 1) }
      assert.match((await update(['update add a.example.com. 60 TXT "x"'], wrong)).output, /BADSIG/)
      const unknown = { ...key, name: 'y.example' }
      assert.match((await update(['update add a.example.com. 60 TXT "x"'], unknown)).output, /BADKEY/)
      assert.deepEqual(texts(server, 'a'), ['two'])
    })
  }
}

test('sandbox DNS: dig', async t => {
  if (!need(t, 'dig')) return
  const server = await start(t, parseTsigKey(`x.example:hmac-sha256:${SECRET}`))
  const dig = (...args: string[]): Promise<Finished> =>
    run(which('dig') ?? 'dig', ['@127.0.0.1', '-p', String(server.port), ...args])
  assert.equal((await dig('+short', 'any.thing', 'MX')).output.trim(), '10 mx.test.')
  assert.match((await dig('missing.example.com', 'MX')).output, /status: NXDOMAIN.*AUTHORITY: 1/s)
  assert.match((await dig('example.com', 'MX')).output, /status: NOERROR.*ANSWER: 0, AUTHORITY: 1/s)
  const long = await dig('+short', 'long.example.com', 'TXT')
  assert.equal(long.output.replaceAll(/[^x]/g, '').length, 3000)
  assert.match((await dig('+ignore', 'long.example.com', 'TXT')).output, /flags: qr aa tc/)
})
