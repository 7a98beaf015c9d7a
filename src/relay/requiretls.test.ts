/** REQUIRETLS, RFC 8689: where such a message goes, where it does not, and what the sender hears. */

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type ScriptedSmtp, type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import {
  recipient,
  type Simulation,
  type SimulationOptions,
  simulate,
} from '../../test/peers/simulated-relay.ts'
import { issue, makeAuthority } from '../cli/authority.ts'

const authority = await makeAuthority('x.test')
const stranger = await makeAuthority('elsewhere.test')
setDefaultCACertificates([...getCACertificates('default'), authority.certificate])

const EHLO = ['STARTTLS']
const SECURED = ['REQUIRETLS', 'DSN']
const MX1 = await issue(authority, { names: ['mx1.x.test'] })
const MX2 = await issue(authority, { names: ['mx2.x.test'] })
const X = await issue(authority, { names: ['x.test'] })
const good: SmtpScript = { ehlo: EHLO, ehloSecured: SECURED, tls: MX1 }

/** mx1.x.test, and mx2.x.test after it where there is a second script. */
async function world(
  t: TestContext,
  scripts: readonly SmtpScript[],
  options: Partial<SimulationOptions> = {},
): Promise<{ relay: Simulation; servers: ScriptedSmtp[] }> {
  const servers: ScriptedSmtp[] = []
  for (const [n, script] of scripts.entries()) {
    const port = servers[0]?.port
    servers.push(
      await startScriptedSmtp({
        ...script,
        host: `127.0.0.${n + 1}`,
        ...(port === undefined ? {} : { port }),
      }),
    )
  }
  const relay = simulate({
    smtpPort: servers[0]?.port ?? 0,
    hosts: { 'mx1.x.test': '127.0.0.1', 'mx2.x.test': '127.0.0.2', 'x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx1.x.test', 'mx2.x.test'].slice(0, scripts.length) },
    authenticated: true,
    ...options,
  })
  t.after(async () => {
    relay.close()
    for (const server of servers) await server.stop()
  })
  return { relay, servers }
}

const STS = {
  kind: 'policy',
  id: '1',
  mode: 'enforce',
  mx: ['mx1.x.test'],
  maxAgeSeconds: 86_400,
  fetchedMs: 0,
  untilMs: Number.MAX_SAFE_INTEGER,
  refreshMs: Number.MAX_SAFE_INTEGER,
} as const
const requireTls = { requireTls: true } as const

/** What the servers have, and the status the sender is told; `null`: it was delivered. */
const rows: [what: string, script: SmtpScript, options: Partial<SimulationOptions>, status: string | null][] =
  [
    ['all of it', good, {}, null],
    ['MX answers are not authenticated', good, { authenticated: false }, '5.7.10'],
    ['the resolver is not trusted', good, { trusted: false }, '5.7.10'],
    ['no STARTTLS', { ehlo: SECURED }, {}, '5.7.10'],
    [
      'STARTTLS is refused',
      { ...good, reply: line => (line === 'STARTTLS' ? '502 5.5.1 no' : undefined) },
      {},
      '5.7.10',
    ],
    [
      'a certificate of another CA',
      { ...good, tls: await issue(stranger, { names: ['mx1.x.test'] }) },
      {},
      '5.7.10',
    ],
    ['a certificate for another host', { ...good, tls: MX2 }, {}, '5.7.10'],
    ['a certificate for the domain, not for its MX', { ...good, tls: X }, {}, '5.7.10'],
    [
      'REQUIRETLS only in clear text',
      { ehlo: [...EHLO, 'REQUIRETLS'], ehloSecured: [], tls: MX1 },
      {},
      '5.7.30',
    ],
    [
      'no MX: the domain itself',
      { ...good, tls: X },
      { domains: { 'x.test': [] }, authenticated: false },
      null,
    ],
    ['no MX: a certificate for another', good, { domains: { 'x.test': [] } }, '5.7.10'],
  ]
suite('RFC 8689 §4.2.1', () => {
  for (const [what, script, options, status] of rows)
    test(what, async t => {
      const { relay, servers } = await world(t, [script], options)
      await relay.put([recipient('bob@x.test')], requireTls)
      await relay.run()
      const lines = servers.flatMap(({ sessions }) => sessions.flat())
      assert.deepEqual(
        relay.notices.map(({ text }) => /^Status: (\S+)\r$/m.exec(text)?.[1]),
        status === null ? [] : [status],
      )
      assert.deepEqual(
        lines.filter(line => line.startsWith('MAIL')),
        status === null ? ['MAIL FROM:<Alice@Example.ORG> REQUIRETLS'] : [],
      )
    })

  test('the next MX is tried, after a QUIT', async t => {
    const poor = { ehlo: EHLO, ehloSecured: [], tls: MX1 }
    const { relay, servers } = await world(t, [poor, { ...good, tls: MX2 }])
    await relay.put([recipient('bob@x.test')], requireTls)
    await relay.run()
    assert.deepEqual(relay.notices, [])
    assert.deepEqual(servers[0]?.sessions.at(-1)?.slice(-2), ['EHLO mail.example.org', 'QUIT'])
    assert.equal(servers[1]?.messages.length, 1)
  })

  test('a host that cannot be reached may be better later: the message waits', async t => {
    const { relay, servers } = await world(t, [{ ...good, ehloSecured: [] }], {
      domains: { 'x.test': ['mx1.x.test', 'mx2.x.test'] },
    })
    const id = await relay.put([recipient('bob@x.test')], requireTls)
    await relay.run(relay.nowMs)
    assert.deepEqual(relay.notices, [])
    assert.match((await relay.queue.get(id))?.recipients[0]?.last?.status ?? '', /^4\.4\.1$/)
    assert.equal(servers[0]?.messages.length, 0)
  })
})

suite('RFC 8689 §5', () => {
  test('a notice says REQUIRETLS, is hastened through, and returns no body', async t => {
    const { relay } = await world(t, [{ ehlo: [] }])
    await relay.put([recipient('bob@x.test')], { ...requireTls, ret: 'FULL' })
    await relay.run()
    const [notice] = relay.notices
    assert.equal(notice?.envelope.requireTls, true)
    assert.match(notice?.text ?? '', /^Content-Type: text\/rfc822-headers\r$/m)
    assert.doesNotMatch(notice?.text ?? '', /How about tonight/)
  })

  const notices: [what: string, script: SmtpScript, mails: string[]][] = [
    ['where all of it holds', good, ['MAIL FROM:<> REQUIRETLS']],
    ['where REQUIRETLS is not offered', { ...good, ehloSecured: [] }, ['MAIL FROM:<>']],
    ['where the certificate is for another', { ...good, tls: MX2 }, ['MAIL FROM:<>']],
    ['where there is no TLS', { ehlo: [] }, []],
  ]
  for (const [what, script, mails] of notices)
    test(`a notice goes ${what}`, async t => {
      const { relay, servers } = await world(t, [script])
      await relay.put([recipient('bob@x.test')], requireTls, null)
      await relay.run()
      assert.deepEqual(
        servers[0]?.sessions.flat().filter(line => line.startsWith('MAIL')),
        mails,
      )
      assert.deepEqual(relay.notices, [])
    })
})

test('a connection serves messages of one policy only', async t => {
  const { relay, servers } = await world(t, [good])
  const put = (asked: object, sender?: null) => relay.put([recipient('bob@x.test')], asked, sender)
  await put({})
  await put(requireTls)
  await put(requireTls, null)
  await put({})
  await put(requireTls)
  await put(requireTls, null)
  await relay.run()
  const mails = servers[0]?.sessions.map(lines => lines.filter(line => line.startsWith('MAIL')))
  assert.deepEqual(mails, [
    ['MAIL FROM:<Alice@Example.ORG>', 'MAIL FROM:<Alice@Example.ORG>'],
    ['MAIL FROM:<Alice@Example.ORG> REQUIRETLS', 'MAIL FROM:<Alice@Example.ORG> REQUIRETLS'],
    ['MAIL FROM:<> REQUIRETLS', 'MAIL FROM:<> REQUIRETLS'],
  ])
})

test('TLS-Required: No is not heeded where REQUIRETLS is asked for (RFC 8689 §4.1)', async t => {
  const { relay } = await world(t, [good], {
    authenticated: false,
    content: 'From: alice@example.org\r\nTLS-Required: No\r\n\r\nx\r\n',
    sts: { 'x.test': STS },
  })
  await relay.put([recipient('bob@x.test')], requireTls)
  await relay.run()
  assert.deepEqual(
    relay.events.flatMap(({ name }) => (name === 'delivered' || name === 'bounced' ? name : [])),
    ['delivered'],
  )
})

test('a connection for a domain whose MTA-STS policy names the host is not for one that nothing protects', async t => {
  const { relay } = await world(t, [good], {
    authenticated: false,
    domains: { 'x.test': ['mx1.x.test'], 'y.test': ['mx1.x.test'] },
    sts: { 'x.test': STS },
  })
  for (const to of ['bob@x.test', 'carol@y.test']) {
    await relay.put([recipient(to)], requireTls)
    await relay.run()
  }
  assert.deepEqual(
    relay.events.flatMap(({ name, fields }) =>
      name === 'delivered' || name === 'bounced' ? `${name} ${fields.status}` : [],
    ),
    ['delivered 2.0.0', 'bounced 5.7.10'],
  )
})
