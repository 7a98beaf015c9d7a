/** Bad input gets a clear answer, and the session goes on where the protocol lets it. */

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Deployment, deploy, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

async function dial(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const { port } = deployment.config.submission.listen
  const dialog = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  return dialog
}

const plain = (user: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`

async function signIn(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const dialog = await dial(t, deployment)
  await dialog.say(plain(USER, PASSWORD), 235)
  return dialog
}

test('what a client is refused, and what it is told', async t => {
  const deployment = await deploy(t, { toml: { submission: ['max_message_size = "64 KiB"'] } })

  await t.test('a wrong password and an unknown user: the same 535 5.7.8', async t => {
    const dialog = await dial(t, deployment)
    const wrong = await dialog.say(plain(USER, 'guess'), 535)
    const unknown = await dialog.say(plain('nobody@example.test', 'guess'), 535)
    assert.match(wrong, /^535 5\.7\.8 /)
    assert.equal(wrong, unknown)
  })

  await t.test('MAIL before AUTH: 530 5.7.0', async t => {
    const dialog = await dial(t, deployment)
    assert.match(await dialog.say(`MAIL FROM:<${USER}>`), /^530 5\.7\.0 /)
  })

  await t.test('a foreign reverse-path: 550 5.7.1, and one of his own after it', async t => {
    const dialog = await signIn(t, deployment)
    assert.match(await dialog.say('MAIL FROM:<bob@example.test>'), /^550 5\.7\.1 /)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
  })

  await t.test('the null reverse-path: allowed (RFC 6409 §3.2), under a From of his own', async t => {
    const dialog = await signIn(t, deployment)
    for (const [from, said] of [
      ['bob@example.test', /^550 5\.7\.1 /],
      [USER, /^250 2\.0\.0 /],
    ] as const) {
      await dialog.say('MAIL FROM:<>', 250)
      await dialog.say('RCPT TO:<bob@internet.test>', 250)
      await dialog.say('DATA', 354)
      assert.match(await dialog.say(`From: ${from}\r\n\r\nRead.\r\n.`), said)
    }
  })

  await t.test('the 1,001st recipient: 452', async t => {
    const dialog = await signIn(t, deployment)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    for (let n = 0; n < 1000; n++) dialog.send(`RCPT TO:<user${n}@internet.test>\r\n`)
    for (let n = 0; n < 1000; n++) await dialog.expect(250, `RCPT ${n}`)
    assert.match(await dialog.say('RCPT TO:<user1000@internet.test>'), /^452 4\.5\.3 /)
  })

  await t.test('a recipient that is no full domain: 550 5.1.2', async t => {
    const dialog = await signIn(t, deployment)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    assert.match(await dialog.say('RCPT TO:<bob@localhost>'), /^550 5\.1\.2 /)
  })

  await t.test('a message over the limit: 552 by SIZE, by DATA and by BDAT', async t => {
    const dialog = await signIn(t, deployment)
    assert.match(await dialog.say(`MAIL FROM:<${USER}> SIZE=70000`), /^552 5\.3\.4 /)
    const begin = async () => {
      await dialog.say(`MAIL FROM:<${USER}>`, 250)
      await dialog.say('RCPT TO:<bob@internet.test>', 250)
    }
    const long = `From: ${USER}\r\n\r\n${'A line of the message.\r\n'.repeat(3000)}`
    await begin()
    await dialog.say('DATA', 354)
    dialog.send(`${long}.\r\n`)
    assert.match(await dialog.expect(), /^552 5\.3\.4 /)
    await begin()
    dialog.send(`BDAT ${long.length} LAST\r\n${long}`)
    assert.match(await dialog.expect(), /^552 5\.3\.4 /)
    await dialog.say('NOOP', 250)
  })

  await t.test('malformed and misplaced commands: 500, 501, 503', async t => {
    const dialog = await signIn(t, deployment)
    const cases: [line: string, said: RegExp][] = [
      ['WHAT IS THIS', /^500 5\.5\./],
      ['MAIL FROM:alice', /^501 5\.(1|5)\./],
      ['MAIL TO:<alice@example.test>', /^501 5\.5\./],
      ['RCPT TO:<bob@internet.test>', /^503 5\.5\.1 /],
      ['DATA', /^503 5\.5\.1 /],
      [`MAIL FROM:<${USER}> COLOUR=BLUE`, /^555 5\.5\.4 /],
      [plain(USER, PASSWORD), /^503 5\.5\.1 /],
    ]
    for (const [line, said] of cases) assert.match(await dialog.say(line), said, line)
  })

  await t.test('a message that cannot be signed: From missing, twice, or of another domain', async t => {
    const dialog = await signIn(t, deployment)
    const cases: [header: string, said: RegExp][] = [
      ['Subject: no author\r\n', /^554 5\.6\.0 .*no From/],
      [`From: ${USER}\r\nFrom: ${USER}\r\n`, /^554 5\.6\.0 .*more than one From/],
      ['From: president@elsewhere.test\r\n', /^550 5\.7\.1 .*elsewhere\.test/],
    ]
    for (const [header, said] of cases) {
      await dialog.say(`MAIL FROM:<${USER}>`, 250)
      await dialog.say('RCPT TO:<bob@internet.test>', 250)
      await dialog.say('DATA', 354)
      assert.match(await dialog.say(`${header}\r\nText.\r\n.`), said)
    }
  })

  await t.test('garbage instead of TLS closes that connection and no other', async t => {
    const dialog = await signIn(t, deployment)
    const { port } = deployment.config.submission.listen
    const garbage = connect(port, '127.0.0.1')
    garbage.on('error', () => {})
    garbage.end('EHLO this.is.not.tls\r\n')
    await deployment.event('refused', ({ fields }) => String(fields.reason).startsWith('TLS handshake'))
    await dialog.say('NOOP', 250)
  })

  await t.test('no password and no content in any event', () => {
    const log = JSON.stringify(deployment.events)
    for (const secret of [
      PASSWORD,
      'guess',
      'A line of the message',
      Buffer.from(PASSWORD).toString('base64'),
    ]) {
      assert.ok(!log.includes(secret), secret)
    }
  })
})
