/**
 * Who is not written to: told at the end of the message where nobody is left, and in a notice where somebody is; the second
 * time at RCPT.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedShelf } from '../../src/queue/embedded/shelf.ts'
import { Suppressions } from '../../src/relay/suppression.ts'
import { startScriptedSmtp } from '../peers/scripted-smtp.ts'
import { DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'
import { submit } from './submit.ts'

/** The same list that `ptt suppression` changes while the relay runs. */
async function suppress(t: TestContext, spool: string, names: readonly string[]): Promise<void> {
  const shelf = await openEmbeddedShelf(spool)
  t.after(() => shelf.close())
  const suppressions = new Suppressions(shelf, Date.now)
  const sinceMs = Date.UTC(2026, 0, 5)
  const facts = { senderDomain: DOMAIN, category: 'bad-address', reason: '550 5.1.1 No such user', id: null }
  for (const name of names)
    await suppressions.add({
      ...facts,
      recipient: `${name}@internet.test`,
      sinceMs,
      untilMs: Date.now() + 1e9,
    })
}

test('nobody is left: the sender hears it, with the reason, and nothing is kept', async t => {
  const deployment = await deploy(t)
  await suppress(t, deployment.config.relay.spool, ['bob', 'carol'])
  const dialog = await signIn(t, deployment)
  await dialog.say(`MAIL FROM:<${USER}>`, 250)
  // Only the relay has the list, and has not been asked before: docs/replies.md.
  for (const name of ['bob', 'Carol']) await dialog.say(`RCPT TO:<${name}@internet.test>`, 250)
  await dialog.say('DATA', 354)
  dialog.send(`From: ${USER}\r\nSubject: Dinner\r\n\r\nHow about tonight?\r\n`)
  assert.match(
    await dialog.say('.', 550),
    /^550 5\.7\.1 Suppressed: bob@internet\.test is not written to from 2026-01-05 until .*: 550 5\.1\.1 No such user, and 1 more/,
  )
  // The session goes on, and knows now.
  await dialog.say(`MAIL FROM:<${USER}>`, 250)
  for (const name of ['bob', 'Carol']) {
    const answer = await dialog.say(`RCPT TO:<${name}@internet.test>`, 550)
    assert.match(
      answer,
      /^550 5\.7\.1 Suppressed: (?:bob|carol)@internet\.test is not written to from 2026-01-05 until .*: 550 5\.1\.1 No such user\r\n$/,
    )
  }
  await dialog.say('RCPT TO:<dora@internet.test>', 250)
  await dialog.say('QUIT', 221)
  const refused = await deployment.event('refused', ({ service }) => service === 'submission')
  assert.match(String(refused.fields.reply), /^550 5\.7\.1 Suppressed: bob/)
  const second = await deployment.event('refused', ({ fields }) => fields.verb === 'RCPT')
  assert.match(String(second.fields.reply), /^550 5\.7\.1 Suppressed: bob.* No such user$/)
  assert.ok(!deployment.events.some(({ name }) => name === 'queued'))
})

test('somebody is left: he gets it, and the sender a notice of the others', async t => {
  const server = await startScriptedSmtp()
  t.after(() => server.stop())
  const deployment = await deploy(t, { smtpPort: server.port })
  await suppress(t, deployment.config.relay.spool, ['bob', 'carol'])
  const rcpt = { 'bob@internet.test': '', 'dora@internet.test': '', 'carol@internet.test': '' }
  // Large enough to be passed on in pieces.
  const body = `${'x'.repeat(70)}\r\n`.repeat(5000)
  const id = await submit(t, deployment, { rcpt, body })
  const delivered = await deployment.event('delivered')
  assert.deepEqual(delivered.fields.recipients, ['dora@internet.test'])
  const notice = await deployment.event('notice')
  assert.deepEqual([notice.fields.about, notice.fields.kind, notice.fields.recipients], [id, 'failed', 2])
  const bounced = await deployment.event('bounced', ({ fields }) => fields.category === 'suppressed')
  assert.equal(bounced.fields.status, '5.7.1')
  assert.doesNotMatch(server.sessions.flat().join('\n'), /RCPT TO:<(?:bob|carol)@/)
  // Another session is told at once of those it may not write to.
  const dialog = await signIn(t, deployment)
  await dialog.say(`MAIL FROM:<${USER}>`, 250)
  assert.match(await dialog.say('RCPT TO:<carol@internet.test>', 550), /^550 5\.7\.1 Suppressed: carol@/)
  await dialog.say('RCPT TO:<dora@internet.test>', 250)
  await dialog.say('QUIT', 221)
})
