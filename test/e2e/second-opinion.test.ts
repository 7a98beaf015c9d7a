/** Somebody has broken into submission and speaks to the signer with its certificate: Git still says who may send. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { roleName } from '../../src/net/tls.ts'
import { startGitHttp } from '../peers/git-http.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { freePort } from '../peers/port.ts'
import { type Deployment, DOMAIN, deploy, PASSWORD, pairOf, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

const TO = 'bob@internet.test'

/** The intruder: at the signer, as submission. */
async function intrude(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const { certificate, key } = await pairOf(deployment, 'submission')
  const dialog = await Dialog.plain(deployment.config.signer.listen.port)
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO mail.example.test', 250)
  await dialog.starttls({
    ca: deployment.authority.certificate,
    servername: roleName('signer'),
    cert: certificate,
    key,
  })
  await dialog.say('EHLO mail.example.test', 250)
  return dialog
}

async function send(dialog: Dialog, mail: string, from: string): Promise<string> {
  await dialog.say(`MAIL FROM:<${mail}`, 250)
  await dialog.say(`RCPT TO:<${TO}>`, 250)
  await dialog.say('DATA', 354)
  return dialog.say(`From: ${from}\r\nSubject: x\r\n\r\nText.\r\n.`)
}

const id = (digit: string): string => `01KAXE000000000000000000A${digit}`

test('who has the certificate of submission can send as nobody but those Git allows', async t => {
  const deployment = await deploy(t, { services: ['relay', 'signer'] })
  const dialog = await intrude(t, deployment)
  const commit = await deployment.repository.git('rev-parse', 'main')
  const rows: [mail: string, from: string, said: RegExp][] = [
    [`${USER}> AUTH=${USER} XPTT=${id('1')}/${commit}`, USER, /^250 /],
    [`${USER}> AUTH=${USER} XPTT=${id('2')}/${commit}`, `boss@${DOMAIN}`, /^550 5\.7\.1 /],
    [`> AUTH=${USER} XPTT=${id('3')}/${commit}`, `boss@${DOMAIN}`, /^550 5\.7\.1 /],
    [`boss@${DOMAIN}> AUTH=${USER} XPTT=${id('4')}/${commit}`, USER, /^550 5\.7\.1 /],
    [`boss@${DOMAIN}> AUTH=boss@${DOMAIN} XPTT=${id('5')}/${commit}`, `boss@${DOMAIN}`, /^550 5\.7\.1 /],
    [`${USER}> AUTH=<> XPTT=${id('6')}/${commit}`, USER, /^550 5\.7\.1 /],
    [`${USER}> XPTT=${id('7')}`, USER, /^550 5\.7\.1 /],
    [`${USER}> AUTH=${USER}`, 'ceo@bank.test', /^550 5\.7\.1 /],
    // It may be a commit that has not come here yet.
    [`> AUTH=${USER} XPTT=${id('8')}/${'0'.repeat(40)}`, `boss@${DOMAIN}`, /^451 4\.7\.1 /],
  ]
  for (const [mail, from, said] of rows) assert.match(await send(dialog, mail, from), said, mail)
  const queued = deployment.events.filter(({ name }) => name === 'queued')
  assert.deepEqual(
    queued.map(({ fields }) => fields.id),
    [id('1')],
  )
  const alarms = deployment.events.filter(({ name }) => name === 'alarm')
  assert.equal(alarms.length, 7)
  for (const { service, level, fields } of alarms)
    assert.deepEqual([service, level, fields.about], ['signer', 'error', 'second opinion'])
})

test('nor more than the budget', async t => {
  const deployment = await deploy(t, {
    services: ['relay', 'signer'],
    toml: { signer: ['budget_per_hour = 3'] },
  })
  const dialog = await intrude(t, deployment)
  const said: string[] = []
  for (let count = 0; count < 5; count++)
    said.push((await send(dialog, `${USER}> AUTH=${USER}`, USER)).slice(0, 9))
  assert.deepEqual(said, ['250 2.0.0', '250 2.0.0', '250 2.0.0', '550 5.7.1', '550 5.7.1'])
  const { fields } = await deployment.event('alarm', ({ service }) => service === 'signer')
  assert.deepEqual([fields.about, fields.user], ['signing budget', USER])
})

test('nor more than the budget that Git gives to a domain, from when it is pushed', async t => {
  const deployment = await deploy(t, {
    services: ['relay', 'signer'],
    files: { [`${DOMAIN}/domain.toml`]: 'signing_budget = 2\n' },
    toml: { directory: ['interval = "1h"'] },
  })
  const dialog = await intrude(t, deployment)
  const next = async () => (await send(dialog, `${USER}> AUTH=${USER}`, USER)).slice(0, 9)
  assert.deepEqual([await next(), await next(), await next()], ['250 2.0.0', '250 2.0.0', '550 5.7.1'])
  const { fields } = await deployment.event('alarm', ({ service }) => service === 'signer')
  assert.deepEqual([fields.about, fields.user], ['signing budget', USER])
  assert.match(String(fields.reply), /example\.test may send 2 messages an hour, and has sent them/)
  await deployment.repository.commit({ [`${DOMAIN}/domain.toml`]: 'signing_budget = 3\n' })
  await deployment.reload('signer')
  assert.deepEqual([await next(), await next()], ['250 2.0.0', '550 5.7.1'])
})

test('a user who was added just now, of whom only submission has heard', async t => {
  const deployment = await deploy(t, { toml: { directory: ['interval = "1h"'] } })
  const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
  const carol = `carol@${DOMAIN}`
  await deployment.repository.commit({ [`${DOMAIN}/users/carol.toml`]: `password = "${verifier}"\n` })
  await deployment.reload('submission')
  const submission = deployment.submission(`From: ${carol}\r\n\r\nText.\r\n`, [TO])
  const sent = await nodemailer({ ...submission, username: carol, from: carol })
  assert.match(sent.output, /^250 /)
})

test('the repository cannot be reached: mail goes on, also when the signer starts anew', async t => {
  const port = await freePort()
  const directory = [`repository = "http://localhost:${port}/users.git"`, 'interval = "1h"']
  const deployment = await deploy(t, { services: [], toml: { directory } })
  const remote = await startGitHttp(deployment.repository.path, { port })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  await remote.stop()
  const submission = deployment.submission(`From: ${USER}\r\n\r\nText.\r\n`, [TO])
  assert.match((await nodemailer(submission)).output, /^250 /)
  await deployment.stop('signer')
  const before = deployment.events.length
  await deployment.start('signer')
  await deployment.event('key', happening => deployment.events.indexOf(happening) >= before)
  assert.match((await nodemailer(submission)).output, /^250 /)
})
