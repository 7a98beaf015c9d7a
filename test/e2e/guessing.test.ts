/** Somebody guesses at a password, and the user signs in all the same. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { THROTTLE } from '../../src/submission/throttle.ts'
import { type Deployment, DOMAIN, deploy, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

const plain = (name: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}`

async function dial(t: TestContext, deployment: Deployment, localAddress: string): Promise<Dialog> {
  const { port } = deployment.config.submission.listen
  const options = { ca: deployment.authority.certificate, servername: 'localhost', localAddress }
  const dialog = await Dialog.tls(port, options)
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  return dialog
}

test('guesses are held back with 454; the right password gets in from elsewhere, and here after the pause', async t => {
  const deployment = await deploy(t)
  for (const connection of ['first', 'second']) {
    const guessing = await dial(t, deployment, '127.0.0.1')
    // Three forms of one name.
    for (const name of [USER, 'alice', `ALICE@${DOMAIN.toUpperCase()}`])
      assert.match(await guessing.say(plain(name, 'guess')), /^535 5\.7\.8 /, connection)
    await guessing.say(plain(USER, 'guess'), 421)
  }

  const again = await dial(t, deployment, '127.0.0.1')
  assert.match(
    await again.say(plain(USER, PASSWORD)),
    /^454 4\.7\.0 Too many failed attempts, try again in 1 s/,
  )
  const { fields } = await deployment.event('refused', ({ fields }) => /before/.test(String(fields.reason)))
  assert.deepEqual([fields.verb, fields.reason], ['AUTH', 'too many failed attempts before'])
  const elsewhere = await dial(t, deployment, '127.0.0.2')
  await elsewhere.say(plain(USER, PASSWORD), 235)
  // As often as it likes: that is no guess.
  let said = ''
  do said = await again.say(plain(USER, PASSWORD))
  while (said.startsWith('454 '))
  assert.match(said, /^235 /)
})

test('SCRAM too: a proof that comes too early is not told from a wrong one', async t => {
  const deployment = await deploy(t)
  for (let guess = 0; guess < THROTTLE.free; guess++) {
    const dialog = await dial(t, deployment, '127.0.0.1')
    await dialog.say(plain(USER, 'guess'), 535)
  }
  const dialog = await dial(t, deployment, '127.0.0.1')
  const first = Buffer.from('n,,n=alice,r=rOprNGfwEbeRWgbNEkqO').toString('base64')
  const challenge = await dialog.say(`AUTH SCRAM-SHA-256 ${first}`, 334)
  const serverFirst = Buffer.from(challenge.slice(4).trim(), 'base64').toString()
  const nonce = /r=([^,]+)/.exec(serverFirst)?.[1]
  const final = `c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`
  assert.match(await dialog.say(Buffer.from(final).toString('base64')), /^454 4\.7\.0 /)
})
