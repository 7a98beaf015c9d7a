/** Mail for our own domain goes where Git says: targets of users, aliases, aliases of aliases; the rest to its MX. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { need } from '../peers/need.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { DOMAIN, deploy, USER } from './deployment.ts'
import { submit } from './submit.ts'

const verifier = formatVerifier(await makeVerifier('not needed here', { iterations: 4096 }))
const FILES = {
  [`${DOMAIN}/users/dora.toml`]: `password = "${verifier}"\ntargets = ["dora@internet.test"]\n`,
  [`${DOMAIN}/aliases.toml`]: [
    'sales = ["alice", "bob@internet.test", "info"]',
    'info = ["carol@internet.test", "bob@internet.test", "dora"]',
    'nobody = ["gone@internet.test"]',
    '',
  ].join('\n'),
}

/** X-Rcpt-Args lines of a dump. */
const recipientsOf = (dump: string): string[] =>
  Array.from(dump.matchAll(/^X-Rcpt-Args: (.*)$/gm), ([, args]) => args ?? '')

test('aliases are expanded, each mailbox once, and the sender is told what he asked to be told', async t => {
  if (!need(t, 'smtp-sink')) return
  const internet = await startSmtpSink()
  t.after(() => internet.stop())
  const own = await startSmtpSink({ host: '127.0.0.2', port: internet.port })
  t.after(() => own.stop())
  const deployment = await deploy(t, {
    smtpPort: internet.port,
    files: FILES,
    records: [
      { name: '@', type: 'MX', data: `10 mx.${DOMAIN}` },
      { name: 'mx', type: 'A', data: '127.0.0.2' },
    ],
  })
  const commit = await deployment.repository.git('rev-parse', 'main')
  const id = await submit(t, deployment, {
    mail: 'ENVID=QQ314159 RET=HDRS',
    rcpt: {
      [`Sales@${DOMAIN}`]: 'NOTIFY=SUCCESS,FAILURE',
      [`dora@${DOMAIN}`]: 'NOTIFY=SUCCESS',
      [`unknown@${DOMAIN}`]: '',
      'eve@internet.test': '',
    },
  })
  const queued = await deployment.event('queued', ({ fields }) => fields.id === id)
  assert.equal(queued.fields.recipients, 6)
  const expanded = deployment.events.filter(({ name }) => name === 'expanded')
  assert.deepEqual(
    expanded.slice(0, 2).map(({ fields }) => [fields.address, fields.to, fields.commit]),
    [
      [
        `Sales@${DOMAIN}`,
        [`alice@${DOMAIN}`, 'bob@internet.test', 'carol@internet.test', 'dora@internet.test'],
        commit,
      ],
      [`dora@${DOMAIN}`, ['dora@internet.test'], commit],
    ],
  )
  const notice = await deployment.event('notice', ({ fields }) => fields.kind === 'expanded')
  for (const [local, copies] of [
    ['alice', 2],
    ['bob@internet', 1],
  ] as const) {
    // Alice has her copy and the notice.
    for (let copy = 1; copy <= copies; copy++) {
      const wanted = copy === 1 ? id : notice.fields.id
      await deployment.event(
        'delivered',
        ({ fields }) => fields.id === wanted && String(fields.recipients).includes(local),
      )
    }
  }
  const [message = '', ...others] = internet.messages()
  assert.deepEqual(others, [])
  assert.deepEqual(recipientsOf(message), [
    `<bob@internet.test> NOTIFY=FAILURE ORCPT=rfc822;Sales@${DOMAIN}`,
    `<carol@internet.test> NOTIFY=FAILURE ORCPT=rfc822;Sales@${DOMAIN}`,
    `<dora@internet.test> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;Sales@${DOMAIN}`,
    '<eve@internet.test> ORCPT=rfc822;eve@internet.test',
  ])
  const dumps = own.messages()
  assert.equal(dumps.length, 2)
  const report = dumps.find(dump => /multipart\/report/.test(dump)) ?? ''
  const copy = dumps.find(dump => dump !== report) ?? ''
  assert.deepEqual(recipientsOf(copy), [
    `<alice@${DOMAIN}> NOTIFY=FAILURE ORCPT=rfc822;Sales@${DOMAIN}`,
    `<unknown@${DOMAIN}> ORCPT=rfc822;unknown@${DOMAIN}`,
  ])
  assert.deepEqual(
    recipientsOf(report).map(args => args.split(' ')[0]),
    [`<${USER}>`],
  )
  assert.match(report, /^Original-Envelope-Id: QQ314159$/m)
  assert.match(report, new RegExp(`^Final-Recipient: rfc822; Sales@${DOMAIN}$`, 'm'))
  assert.match(report, /^Action: expanded$/m)
  assert.doesNotMatch(report, /internet\.test/, 'where an alias leads is nobody’s business')
})

test('a target that fails: the sender knows the address again that he wrote to', async t => {
  if (!need(t, 'smtp-sink')) return
  const internet = await startSmtpSink({ args: ['-f', 'RCPT'] })
  t.after(() => internet.stop())
  const own = await startSmtpSink({ host: '127.0.0.2', port: internet.port })
  t.after(() => own.stop())
  const deployment = await deploy(t, {
    smtpPort: internet.port,
    files: FILES,
    records: [
      { name: '@', type: 'MX', data: `10 mx.${DOMAIN}` },
      { name: 'mx', type: 'A', data: '127.0.0.2' },
    ],
  })
  await submit(t, deployment, { rcpt: { [`nobody@${DOMAIN}`]: '' } })
  const notice = await deployment.event('notice')
  assert.equal(notice.fields.kind, 'failed')
  await deployment.event('delivered', ({ fields }) => fields.id === notice.fields.id)
  const [report = ''] = own.messages()
  assert.match(report, new RegExp(`^Original-Recipient: rfc822; nobody@${DOMAIN}$`, 'm'))
  assert.match(report, /^Final-Recipient: rfc822; gone@internet\.test$/m)
})

test('a push changes where mail goes, from the next message on', async t => {
  const deployment = await deploy(t, { files: FILES, toml: { directory: ['interval = "1h"'] } })
  const to = async () => {
    const id = await submit(t, deployment, { rcpt: { [`info@${DOMAIN}`]: '' } })
    const { fields } = await deployment.event('queued', ({ fields }) => fields.id === id)
    return fields.recipients
  }
  assert.equal(await to(), 3)
  await deployment.repository.commit({ [`${DOMAIN}/aliases.toml`]: 'info = ["alice"]\n' })
  assert.equal(await to(), 3)
  await deployment.reload('relay')
  assert.equal(await to(), 1)
})
