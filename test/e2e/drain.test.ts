/** A relay that is told to stop ends what is under way, begins nothing, and goes on with the rest when it is started again. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRudeSmtp } from '../peers/rude-smtp.ts'
import { deploy } from './deployment.ts'
import { submit } from './submit.ts'

test('a transaction in flight ends; what waits behind it is delivered after the restart', async t => {
  let release = () => {}
  const asked = Promise.withResolvers<void>()
  const server = await startRudeSmtp(
    'content',
    (socket, usual) => {
      release = () => socket.write(`${usual}\r\n`)
      asked.resolve()
    },
    { times: 1 },
  )
  t.after(() => server.stop())
  const deployment = await deploy(t, { smtpPort: server.port, toml: { relay: ['concurrency = 1'] } })
  await submit(t, deployment, { rcpt: { 'first@internet.test': '' } })
  await asked.promise
  await submit(t, deployment, { rcpt: { 'second@internet.test': '' } })
  const stopping = deployment.event('stopping', ({ service }) => service === 'relay')
  const stopped = deployment.stop('relay')
  await stopping
  release()
  await stopped
  const delivered = () =>
    deployment.events.filter(({ name }) => name === 'delivered').flatMap(({ fields }) => fields.recipients)
  assert.deepEqual(delivered(), ['first@internet.test'])
  assert.equal(server.connections(), 1)
  await deployment.start('relay')
  await deployment.event('delivered', ({ fields }) => String(fields.recipients) === 'second@internet.test')
  assert.equal(server.messages.length, 2)
})
