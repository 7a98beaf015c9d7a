/** Jobs from lease to settlement, against servers that say what the test wants, on a clock that jumps. */

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { type ScriptedSmtp, type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import {
  ALICE,
  EXPIRE_MS,
  HOUR_MS,
  recipient,
  type Simulation,
  type SimulationOptions,
  START,
  simulate,
} from '../../test/peers/simulated-relay.ts'
import { QueueError } from '../queue/queue.ts'
import { EXPANDED } from './expand.ts'

const MINUTE_MS = 60_000

/** A relay and one server for the domain x.test. */
async function withServer(
  t: TestContext,
  script: SmtpScript,
  options: Partial<SimulationOptions> = {},
): Promise<{ relay: Simulation; server: ScriptedSmtp }> {
  const server = await startScriptedSmtp(script)
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
    ...options,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  return { relay, server }
}

/** `minutes after the start: action status recipients`, a notice each. */
function told({ notices }: Simulation): string[] {
  return notices.map(({ atMs, text }) => {
    const actions = new Set(Array.from(text.matchAll(/^Action: (\w+)\r$/gm), ([, action]) => action))
    const statuses = new Set(Array.from(text.matchAll(/^Status: (\S+)\r$/gm), ([, status]) => status))
    const whom = Array.from(text.matchAll(/^Final-Recipient: rfc822; (\S+)@/gm), ([, local]) => local)
    return `${(atMs - START) / MINUTE_MS}: ${[...actions]} ${[...statuses]} ${whom.join(' ')}`
  })
}

const later = (line: string) => (line.startsWith('RCPT') ? '450 4.2.1 Later' : undefined)

suite('delivery status notifications', () => {
  test('RFC 3461 §10: Alice, and those she writes to', async t => {
    const modern = await startScriptedSmtp({
      ehlo: ['DSN'],
      reply: line => (line.startsWith('RCPT TO:<Carol@') ? '550 error - no such recipient' : undefined),
    })
    const { port } = modern
    const plain = await startScriptedSmtp({
      host: '127.0.0.2',
      port,
      reply: line => (line.startsWith('EHLO') ? '502 command not implemented' : undefined),
    })
    const hosts = { 'ivory.edu': '127.0.0.1', 'bombs.af.mil': '127.0.0.2' }
    const domains = { 'example.com': ['ivory.edu'], 'ivory.edu': [], 'bombs.af.mil': [] }
    const relay = simulate({ smtpPort: port, hosts, domains })
    t.after(async () => {
      relay.close()
      await modern.stop()
      await plain.stop()
    })
    const orcpt = (address: string) => ({ originalRecipient: { addressType: 'rfc822', address } })
    await relay.put(
      [
        recipient('Bob@Example.COM', { notify: ['SUCCESS'], ...orcpt('Bob@Example.COM') }),
        recipient('Carol@Ivory.EDU', { notify: ['FAILURE'], ...orcpt('Carol@Ivory.EDU') }),
        recipient('Dana@Ivory.EDU', { notify: ['SUCCESS', 'FAILURE'], ...orcpt('Dana@Ivory.EDU') }),
        recipient('Eric@Bombs.AF.MIL', { notify: ['FAILURE'], ...orcpt('Eric@Bombs.AF.MIL') }),
        recipient('Fred@Bombs.AF.MIL', { notify: [] }),
      ],
      { ret: 'HDRS', envelopeId: 'QQ314159' },
    )
    await relay.run()
    const sent = (server: ScriptedSmtp) => server.sessions.flat().filter(line => /^(MAIL|RCPT)/.test(line))
    assert.deepEqual(sent(modern), [
      'MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159',
      'RCPT TO:<Bob@Example.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM',
      'MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159',
      'RCPT TO:<Carol@Ivory.EDU> NOTIFY=FAILURE ORCPT=rfc822;Carol@Ivory.EDU',
      'RCPT TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU',
    ])
    assert.deepEqual(sent(plain), [
      'MAIL FROM:<Alice@Example.ORG>',
      'RCPT TO:<Eric@Bombs.AF.MIL>',
      'RCPT TO:<Fred@Bombs.AF.MIL>',
    ])
    // 10.7. What 10.6 and 10.8 show is sent by the peers: they have DSN.
    assert.deepEqual(told(relay), ['0: failed 5.0.0 Carol'])
    const [notice] = relay.notices
    assert.deepEqual(notice?.envelope.recipients, [{ forwardPath: ALICE }])
    assert.equal(notice?.envelope.reversePath, null)
    assert.match(
      notice?.text ?? '',
      /^Original-Envelope-Id: QQ314159\r\nReporting-MTA: dns; mail\.example\.org\r$/m,
    )
    assert.match(notice?.text ?? '', /^Original-Recipient: rfc822; Carol@Ivory\.EDU\r$/m)
    assert.match(notice?.text ?? '', /^Diagnostic-Code: smtp; 550 error - no such recipient\r$/m)
    assert.match(notice?.text ?? '', /^Content-Type: text\/rfc822-headers\r$/m)
  })

  test('success at a server without DSN: relayed, once, and nothing to NEVER', async t => {
    const { relay } = await withServer(t, {})
    const notify = ['SUCCESS'] as const
    await relay.put([
      recipient('a@x.test', { notify }),
      recipient('b@x.test', { notify }),
      recipient('c@x.test', { notify: [] }),
      recipient('d@x.test'),
    ])
    await relay.run()
    assert.deepEqual(told(relay), ['0: relayed 2.0.0 a b'])
    assert.match(relay.notices[0]?.text ?? '', /^Diagnostic-Code: smtp; 250 2\.0\.0 kept\r$/m)
    assert.match(relay.notices[0]?.text ?? '', /^Remote-MTA: dns; mx\.x\.test\r$/m)
  })

  test('an alias of several: expanded, told once, and settled without an attempt', async t => {
    const { relay, server } = await withServer(t, { ehlo: ['DSN'] })
    const ask = { deliverBy: { seconds: -60, mode: 'N', trace: false }, envelopeId: 'QQ314159' } as const
    const id = await relay.put(
      [
        recipient('a@x.test', { notify: [] }),
        { ...recipient('sales@x.test', { notify: ['SUCCESS', 'DELAY'] }), destination: EXPANDED },
      ],
      ask,
    )
    await relay.run()
    assert.deepEqual(told(relay), ['0: expanded 2.1.5 sales'])
    const { text = '' } = relay.notices[0] ?? {}
    assert.match(text, /^Subject: Passed on: /m)
    assert.match(text, /^Diagnostic-Code: x-ptt; The address stands for several others\r$/m)
    assert.match(text, /passed\r\non to those for whom this recipient stands\./)
    assert.doesNotMatch(text, /Remote-MTA|Last-Attempt-Date|a@x\.test/)
    assert.ok(server.sessions.flat().every(line => !line.includes('sales')))
    assert.equal(await relay.queue.get(id), null)
  })

  test('a delay is told once, four hours after arrival; failure when the time is over', async t => {
    const { relay } = await withServer(t, { reply: later })
    await relay.put([
      recipient('a@x.test'),
      recipient('b@x.test', { notify: ['DELAY'] }),
      recipient('c@x.test', { notify: ['FAILURE'] }),
      recipient('d@x.test', { notify: [] }),
    ])
    await relay.run()
    assert.deepEqual(told(relay), ['240: delayed 4.2.1 a b', '7200: failed 5.4.7 a c'])
    const [delay, failure] = relay.notices
    assert.match(delay?.text ?? '', /^Will-Retry-Until: Sat, 10 Jan 2026 12:00:00 \+0000\r$/m)
    assert.match(failure?.text ?? '', /^Diagnostic-Code: smtp; 450 4\.2\.1 Later\r$/m)
    assert.equal(await relay.queue.count(), 0)
  })

  test('nothing is told of a message from the null reverse-path', async t => {
    const { relay } = await withServer(t, { reply: later })
    await relay.put([recipient('a@x.test', { notify: ['SUCCESS', 'FAILURE', 'DELAY'] })], {}, null)
    await relay.run()
    assert.deepEqual(told(relay), [])
    assert.equal(await relay.queue.count(), 0)
  })

  test('a crash before the results are settled loses no notice and doubles none', async t => {
    let crashes = 2
    const { relay, server } = await withServer(
      t,
      { reply: line => (line.startsWith('RCPT TO:<b@') ? '550 5.1.1 Unknown' : undefined) },
      {
        around: queue => ({
          ...bound(queue),
          settle: (job, results) => {
            const crash = job.destination === 'x.test' && crashes-- > 0
            return crash ? Promise.reject(new Error('crash')) : queue.settle(job, results)
          },
        }),
        isCrash: error => error instanceof Error && error.message === 'crash',
      },
    )
    await relay.put([recipient('a@x.test', { notify: ['SUCCESS'] }), recipient('b@x.test')])
    for (let crash = 0; crash < 2; crash++) {
      await assert.rejects(relay.run(), /crash/)
      for (const job of await relay.queue.list({ limit: 10 }))
        relay.queue.release({ message: job, destination: 'x.test', recipients: [] })
    }
    await relay.run()
    assert.equal(server.messages.length, 3)
    assert.deepEqual(told(relay), ['0: failed 5.1.1 b', '0: relayed 2.0.0 a'])
  })

  test('while the spool is full no notice is lost, and nothing is delivered again', async t => {
    let refusals = 1
    const { relay, server } = await withServer(
      t,
      {},
      {
        around: queue => ({
          ...bound(queue),
          put: async (message, content) => {
            if (message.id.endsWith('-notice') && refusals-- > 0) throw new QueueError('full', 'no space')
            return queue.put(message, content)
          },
        }),
      },
    )
    await relay.put([recipient('a@x.test', { notify: ['SUCCESS'] })])
    await relay.run()
    assert.equal(server.messages.length, 1)
    assert.deepEqual(told(relay), ['0: relayed 2.0.0 a'])
    assert.ok(relay.events.some(({ name, fields }) => name === 'alarm' && fields.about === 'spool'))
  })
})

/** An object of the queue's methods, to be spread. */
function bound(queue: Simulation['queue']): Simulation['queue'] {
  return {
    put: queue.put.bind(queue),
    lease: queue.lease.bind(queue),
    unpark: queue.unpark.bind(queue),
    settle: queue.settle.bind(queue),
    release: queue.release.bind(queue),
    nextDue: queue.nextDue.bind(queue),
    content: queue.content.bind(queue),
    openContent: queue.openContent.bind(queue),
    get: queue.get.bind(queue),
    dueJobs: queue.dueJobs.bind(queue),
    list: queue.list.bind(queue),
    search: queue.search.bind(queue),
    story: queue.story.bind(queue),
    retry: queue.retry.bind(queue),
    remove: queue.remove.bind(queue),
    hold: queue.hold.bind(queue),
    lift: queue.lift.bind(queue),
    holds: queue.holds.bind(queue),
    count: queue.count.bind(queue),
    sweep: queue.sweep.bind(queue),
    close: queue.close.bind(queue),
  }
}

suite('held messages: RFC 4865', () => {
  test('nothing is attempted before, and all times count from the release', async t => {
    const { relay, server } = await withServer(t, { reply: later })
    const id = await relay.put(['a@x.test'], { hold: { forSeconds: 24 * 3600 } })
    await relay.run(START + 24 * HOUR_MS - 1)
    assert.equal(server.sessions.length, 0)
    assert.equal((await relay.queue.get(id))?.recipients[0]?.dueMs, START + 24 * HOUR_MS)
    await relay.run(START + 24 * HOUR_MS)
    assert.equal(server.sessions.length, 1)
    await relay.run()
    const day = 24 * 60
    assert.deepEqual(told(relay), [`${day + 240}: delayed 4.2.1 a`, `${day + 7200}: failed 5.4.7 a`])
    assert.match(relay.notices[0]?.text ?? '', /^Future-Release-Request: for;86400\r$/m)
  })
})

suite('delivery in time: RFC 2852', () => {
  const by = (seconds: number, mode: 'R' | 'N', trace = false) => ({ deliverBy: { seconds, mode, trace } })

  test('§4.1.3, R: returned when the time is over, and not attempted then', async t => {
    const { relay, server } = await withServer(t, { ehlo: ['DELIVERBY'], reply: later })
    await relay.put(['a@x.test'], by(1200, 'R'))
    await relay.run()
    // At 0, 5 and 15 minutes.
    const mails = server.sessions.flat().filter(line => line.startsWith('MAIL'))
    assert.deepEqual(
      mails.map(line => /BY=(\S+)/.exec(line)?.[1]),
      ['1200;R', '900;R', '300;R'],
    )
    assert.deepEqual(told(relay), ['20: failed 5.4.7 a'])
    assert.match(relay.notices[0]?.text ?? '', /^Deliver-By-Date: Mon, 5 Jan 2026 12:20:00 \+0000\r$/m)
    assert.match(relay.notices[0]?.text ?? '', /^Diagnostic-Code: smtp; 450 4\.2\.1 Later\r$/m)
  })

  test('§4.1.3, R: never attempted when it was over before', async t => {
    const { relay, server } = await withServer(t, { ehlo: ['DELIVERBY'] })
    await relay.put(['a@x.test', recipient('b@x.test', { notify: ['SUCCESS'] })], by(60, 'R'))
    relay.nowMs = START + 60_000
    await relay.run()
    assert.deepEqual(server.sessions, [])
    assert.deepEqual(told(relay), ['1: failed 5.4.7 a'])
    assert.match(relay.notices[0]?.text ?? '', /^Diagnostic-Code: x-ptt; Delivery time expired: /m)
    assert.doesNotMatch(relay.notices[0]?.text ?? '', /^(Last-Attempt-Date|Remote-MTA):/m)
  })

  test('§4.1.4.1, R: not to a server without, but to another MX that has it', async t => {
    const { relay, server } = await withServer(
      t,
      {},
      {
        hosts: { 'mx.x.test': '127.0.0.1', 'mx2.x.test': '127.0.0.2' },
        domains: { 'x.test': ['mx.x.test', 'mx2.x.test'] },
      },
    )
    const second = await startScriptedSmtp({ host: '127.0.0.2', port: server.port, ehlo: ['DELIVERBY 30'] })
    t.after(() => second.stop())
    await relay.put(['a@x.test'], by(120, 'R'))
    await relay.run()
    assert.deepEqual(server.messages, [])
    assert.equal(second.sessions[0]?.[1], 'MAIL FROM:<Alice@Example.ORG> BY=120;R')
    await relay.put(['a@x.test'], by(29, 'R'))
    await relay.run()
    assert.equal(second.messages.length, 1)
    assert.deepEqual(told(relay), ['0: failed 5.3.3 a'])
  })

  test('§4.1.3, N: the delay is told at the time, and delivery goes on', async t => {
    let busy = true
    const { relay, server } = await withServer(t, {
      ehlo: ['DELIVERBY'],
      reply: line => (busy ? later(line) : undefined),
    })
    await relay.put(['a@x.test', recipient('b@x.test', { notify: ['FAILURE'] })], by(600, 'N'))
    await relay.run(START + 5 * MINUTE_MS)
    await relay.run(START + 10 * MINUTE_MS)
    assert.deepEqual(told(relay), ['10: delayed 4.4.7 a'])
    busy = false
    await relay.run()
    assert.equal(server.messages.length, 1)
    assert.match(server.sessions.flat().findLast(line => line.startsWith('MAIL')) ?? '', / BY=-\d+;N$/)
    assert.equal(relay.notices.length, 1)
  })

  test('§4.1.3, N: the delay is told although the attempt then succeeds, and not twice', async t => {
    const { relay } = await withServer(t, { ehlo: ['DELIVERBY'] })
    await relay.put(['a@x.test'], by(60, 'N'))
    relay.nowMs = START + 90_000
    await relay.run()
    assert.deepEqual(told(relay), ['1.5: delayed 4.4.7 a'])
    assert.equal(await relay.queue.count(), 0)
  })

  test('§4.1.4.2, N: a server that has DSN but not DELIVERBY is asked to tell of delays', async t => {
    const { relay, server } = await withServer(t, { ehlo: ['DSN'] })
    await relay.put(['a@x.test', recipient('b@x.test', { notify: [] })], by(60, 'N'))
    await relay.run()
    assert.deepEqual(server.sessions[0]?.slice(1, 4), [
      'MAIL FROM:<Alice@Example.ORG>',
      'RCPT TO:<a@x.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@x.test',
      'RCPT TO:<b@x.test> NOTIFY=NEVER ORCPT=rfc822;b@x.test',
    ])
    assert.deepEqual(told(relay), ['0: relayed 2.0.0 a'])
  })

  test('§4.1.4: with T each server that passes it on is told', async t => {
    const { relay, server } = await withServer(t, { ehlo: ['DSN', 'DELIVERBY'] })
    await relay.put(['a@x.test'], by(60, 'R', true))
    await relay.run()
    assert.equal(server.sessions[0]?.[1], 'MAIL FROM:<Alice@Example.ORG> BY=60;RT')
    assert.deepEqual(told(relay), ['0: relayed 2.0.0 a'])
  })

  test('R: a delay that is told says until when it is tried', async t => {
    const { relay } = await withServer(t, { ehlo: ['DELIVERBY'], reply: later })
    await relay.put(['a@x.test'], by(6 * 3600, 'R'))
    await relay.run()
    assert.deepEqual(told(relay), ['240: delayed 4.2.1 a', '360: failed 5.4.7 a'])
    assert.match(relay.notices[0]?.text ?? '', /^Will-Retry-Until: Mon, 5 Jan 2026 18:00:00 \+0000\r$/m)
  })

  test('the time to live is not made longer by it', async t => {
    const { relay } = await withServer(t, { ehlo: ['DELIVERBY'], reply: later })
    await relay.put([recipient('a@x.test', { notify: ['FAILURE'] })], by(999_999, 'R'))
    await relay.run()
    assert.deepEqual(told(relay), [`${EXPIRE_MS / MINUTE_MS}: failed 5.4.7 a`])
  })
})

suite('limits of the peer: RFC 9422', () => {
  const addresses = ['a', 'b', 'c', 'd', 'e'].map(name => `${name}@x.test`)
  /** What one connection was told, by transaction. */
  const rcpts = (server: ScriptedSmtp) =>
    server.sessions.map(lines => {
      const transactions: number[] = []
      for (const line of lines) {
        if (line.startsWith('MAIL')) transactions.push(0)
        if (line.startsWith('RCPT')) transactions.push((transactions.pop() ?? 0) + 1)
      }
      return transactions
    })
  const cases: [limits: string, sessions: number[][]][] = [
    ['', [[5]]],
    ['LIMITS RCPTMAX=2', [[2, 2, 1]]],
    ['LIMITS MAILMAX=1', [[5]]],
    ['LIMITS RCPTMAX=2 MAILMAX=1 RCPTDOMAINMAX=1', [[2], [2], [1]]],
    ['LIMITS RCPTMAX=2 MAILMAX=2', [[2, 2], [1]]],
    ['LIMITS RCPTMAX=20 MAILMAX=5', [[5]]],
    // §3.7: what makes no sense is no limit.
    ['LIMITS RCPTMAX=0', [[5]]],
  ]
  for (const [limits, sessions] of cases)
    test(limits || 'none', async t => {
      const { relay, server } = await withServer(t, { ehlo: ['PIPELINING', ...(limits ? [limits] : [])] })
      await relay.put(addresses)
      await relay.run()
      assert.deepEqual(rcpts(server), sessions)
      assert.equal(await relay.queue.count(), 0)
    })

  test('MAILMAX holds for the messages of one connection together', async t => {
    const { relay, server } = await withServer(t, { ehlo: ['LIMITS MAILMAX=2'] })
    for (let n = 0; n < 5; n++) await relay.put(['a@x.test'])
    await relay.run()
    assert.deepEqual(rcpts(server), [[1, 1], [1, 1], [1]])
  })

  test('what is refused counts, and the next connection goes on with the rest', async t => {
    const { relay, server } = await withServer(t, {
      ehlo: ['LIMITS RCPTMAX=2 MAILMAX=1'],
      reply: line => (/RCPT TO:<[ab]@/.test(line) ? '550 5.1.1 Unknown' : undefined),
    })
    await relay.put(addresses)
    await relay.run()
    assert.deepEqual(rcpts(server), [[2], [2], [1]])
    assert.deepEqual(told(relay), ['0: failed 5.1.1 a b'])
  })
})

test('RFC 6710: the higher priority goes first, and goes on', async t => {
  const { relay, server } = await withServer(t, { ehlo: ['MT-PRIORITY'] })
  for (const [name, priority] of [
    ['a', -3],
    ['b', 0],
    ['c', 9],
    ['d', 4],
  ] as const)
    await relay.put([`${name}@x.test`], { priority })
  await relay.run()
  const lines = server.sessions.flat().filter(line => /^(MAIL|RCPT)/.test(line))
  assert.deepEqual(
    lines.map(line => line.replace(/^(MAIL FROM:<Alice@Example\.ORG> |RCPT TO:)/, '')),
    [
      'MT-PRIORITY=9',
      '<c@x.test>',
      'MT-PRIORITY=4',
      '<d@x.test>',
      'MT-PRIORITY=0',
      '<b@x.test>',
      'MT-PRIORITY=-3',
      '<a@x.test>',
    ],
  )
})

test('a recipient at a name that JavaScript objects have too is like any other', async t => {
  const server = await startScriptedSmtp({})
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { constructor: ['mx.x.test'] },
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  await relay.put([recipient('bob@constructor')])
  await relay.run()
  assert.ok(relay.events.some(({ name }) => name === 'delivered'))
})

const unknown: [what: string, line: RegExp, to: string[], suppressed: number][] = [
  ['the recipient', /^RCPT/, ['bob'], 1],
  ['the sender', /^MAIL/, ['bob'], 0],
  ['the message of one', /^\.$/, ['bob'], 1],
  ['the message of two', /^\.$/, ['bob', 'carol'], 0],
]
for (const [what, line, to, suppressed] of unknown) {
  test(`"user unknown", said of ${what}, suppresses ${suppressed}`, async t => {
    const reply = (said: string) => (line.test(said) ? '550 5.1.1 User unknown' : undefined)
    const { relay } = await withServer(t, { reply })
    await relay.put(to.map(local => recipient(`${local}@x.test`)))
    await relay.run()
    const events = relay.events.map(({ name }) => name)
    assert.equal(events.filter(name => name === 'bounced').length, 1)
    assert.equal(events.filter(name => name === 'suppressed').length, suppressed)
  })
}
