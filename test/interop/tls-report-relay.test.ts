/** TLS reports of a relay that runs: what it counts, and that it reports what it has counted, once. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '../../src/observe/event.ts'
import { openEmbeddedShelf } from '../../src/queue/embedded/shelf.ts'
import { Collection } from '../../src/relay/tls-report/collection.ts'
import { DAY_MS, dayOf } from '../../src/relay/tls-report/schedule.ts'
import type { PolicyCount } from '../../src/relay/tls-report/tally.ts'
import { type Deployment, deploy } from '../e2e/deployment.ts'
import { submit } from '../e2e/submit.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'

const PTT = join(import.meta.dirname, '../../bin/ptt.js')

const INTERNET = {
  origin: 'internet.test',
  records: [
    { name: '@', type: 'MX', data: '10 mx.internet.test' },
    { name: 'mx', type: 'A', data: '127.0.0.1' },
    // A site of its own: a session that is kept for the next message is counted once.
    { name: 'reports', type: 'A', data: '127.0.0.1' },
    { name: '_smtp._tls', type: 'TXT', data: 'v=TLSRPTv1; rua=mailto:tls@reports.internet.test' },
  ],
} as const

/** What is written down, also by a relay that runs. */
async function countsOf(deployment: Deployment, days: readonly string[]): Promise<[string, PolicyCount[]][]> {
  const shelf = await openEmbeddedShelf(deployment.config.relay.spool)
  try {
    const collection = new Collection({ shelf, now: Date.now, log: silent })
    const found: [string, PolicyCount[]][] = []
    for (const day of days)
      for await (const { domain, counts } of collection.domains(day)) found.push([domain, counts])
    return found
  } finally {
    await shelf.close()
  }
}

test('a relay counts its sessions, reports those of the day before, once, and does not count the report', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, {
    smtpPort: sink.port,
    zones: [INTERNET],
    services: ['signer', 'submission'],
  })
  // The day before yesterday: its report is due at any time of today.
  const thenMs = Date.now() - 2 * DAY_MS
  const shelf = await openEmbeddedShelf(deployment.config.relay.spool)
  const before = new Collection({ shelf, now: () => thenMs, log: silent })
  const policy = { type: 'no-policy-found', strings: [], mxHosts: [] } as const
  for (const policyDomain of ['internet.test', 'nobody-asks.test'])
    before.note({ policyDomain, policy, result: 'success' })
  await before.flush()
  await shelf.close()

  const startedMs = Date.now()
  await deployment.start('relay')
  const isReport = ({ fields }: { readonly fields: { readonly id?: unknown } }) =>
    /tlsrpt$/.test(String(fields.id))
  const delivered = await deployment.event('delivered', isReport)
  assert.deepEqual(delivered.fields.recipients, ['tls@reports.internet.test'])
  const [report = ''] = sink.messages()
  assert.match(report, /^Subject: Report Domain: internet\.test/m)
  assert.match(report, /^DKIM-Signature: /m)
  // Whose address is wrong is nobody's business: no notice to our postmaster.
  assert.match(report, /^X-Rcpt-Args: <tls@reports\.internet\.test> .*NOTIFY=NEVER/m)

  await submit(t, deployment, { rcpt: { 'bob@internet.test': '' } })
  await deployment.event('delivered', happening => !isReport(happening))
  await deployment.stop('relay')
  // Not those of the report's own delivery. smtp-sink offers no STARTTLS.
  const today = [...new Set([startedMs, Date.now()].map(dayOf))]
  assert.deepEqual(await countsOf(deployment, today), [
    [
      'internet.test',
      [
        {
          policy: { type: 'no-policy-found', domain: 'internet.test', strings: [], mxHosts: [] },
          succeeded: 0,
          failures: [
            {
              failure: {
                type: 'starttls-not-supported',
                receivingIp: '127.0.0.1',
                receivingMx: 'mx.internet.test',
              },
              sessions: 1,
            },
          ],
        },
      ],
    ],
  ])
  const ptt = async (...args: string[]) => {
    const config = join(deployment.folder, 'ptt.toml')
    const { code, output } = await run(process.execPath, [PTT, 'tls', 'report', ...args, '-c', config])
    assert.equal(code, 0, output)
    return output
  }
  const day = dayOf(thenMs)
  assert.match(
    await ptt(day),
    /^internet\.test\n {2}no policy: 1 succeeded, 0 failed\n {2}reported to mailto:tls@reports\.internet\.test\n\nnobody-asks\.test\n/,
  )
  assert.match(
    await ptt(today[0] ?? '', '--domain', 'Internet.test'),
    /1 starttls-not-supported at mx\.internet\.test/,
  )
  assert.match(await ptt(), /^No TLS sessions were counted on \d{4}-\d\d-\d\d\.\n$/)
  const printed = JSON.parse(await ptt(day, '--json', '--domain', 'internet.test'))
  assert.equal(printed['report-id'], `${day}.internet.test@mail.example.test`)
  await deployment.start('relay')
  await submit(t, deployment, { rcpt: { 'carol@internet.test': '' } })
  await deployment.event('delivered', ({ fields }) => String(fields.recipients).includes('carol'))
  await deployment.stop('relay')
  const notices = deployment.events.filter(
    ({ name, fields }) => name === 'notice' && fields.kind === 'tls-report',
  )
  assert.equal(notices.filter(({ fields }) => fields.id !== undefined).length, 1)
  assert.equal(sink.messages().filter(text => text.includes('TLS-Report-Domain')).length, 1)
  assert.deepEqual(
    deployment.events.filter(({ name }) => name === 'alarm'),
    [],
  )
})

test('tls_reports = false: nothing is counted', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { smtpPort: sink.port, toml: { relay: ['tls_reports = false'] } })
  await submit(t, deployment, { rcpt: { 'bob@internet.test': '' } })
  await deployment.event('delivered')
  await deployment.stop('relay')
  assert.deepEqual(await countsOf(deployment, [dayOf(Date.now())]), [])
})
