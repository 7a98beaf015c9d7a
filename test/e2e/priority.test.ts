/** MT-PRIORITY, RFC 6710, the whole way: what is due at the same time goes in the order of its priority. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startScriptedSmtp } from '../peers/scripted-smtp.ts'
import { deploy } from './deployment.ts'
import { submit } from './submit.ts'

test('higher priorities first, said to the next server; no more than the user may have', async t => {
  const server = await startScriptedSmtp({ ehlo: ['MT-PRIORITY'] })
  t.after(() => server.stop())
  const deployment = await deploy(t, {
    smtpPort: server.port,
    toml: { submission: ['max_priority = 6'], relay: ['concurrency = 1'] },
  })
  // All are released together, some seconds from now.
  const until = `${new Date(Date.now() + 6000).toISOString().slice(0, 19)}Z`
  const asked: [name: string, parameter: string][] = [
    ['low', ' MT-PRIORITY=-4'],
    ['none', ''],
    ['high', ' MT-PRIORITY=4'],
    ['zero', ' MT-PRIORITY=0'],
    ['highest', ' MT-PRIORITY=9'],
    ['lowest', ' MT-PRIORITY=-9'],
  ]
  for (const [name, parameter] of asked)
    await submit(t, deployment, {
      mail: `HOLDUNTIL=${until}${parameter}`,
      rcpt: { [`${name}@internet.test`]: '' },
    })
  const delivered = () => deployment.events.filter(({ name }) => name === 'delivered')
  await deployment.event('delivered', () => delivered().length === asked.length)
  assert.deepEqual(
    delivered().flatMap(({ fields }) => fields.recipients),
    ['highest', 'high', 'none', 'zero', 'low', 'lowest'].map(name => `${name}@internet.test`),
  )
  const mails = server.sessions.flat().filter(line => line.startsWith('MAIL'))
  assert.deepEqual(
    mails.map(line => / MT-PRIORITY=(\S+)/.exec(line)?.[1]),
    ['6', '4', '0', '0', '-4', '-9'],
  )
})
