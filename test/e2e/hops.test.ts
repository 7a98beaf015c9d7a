/** The hops let in the right role of the same deployment, and nobody else (design decision 4). */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { type KeyPair, type Role, roleName } from '../../src/net/tls.ts'
import { DOMAIN, deploy, pairOf } from './deployment.ts'
import { Dialog } from './dialog.ts'

async function dial(
  t: TestContext,
  port: number,
  to: Role,
  ca: string,
  pair: KeyPair | null,
): Promise<Dialog> {
  const dialog = await Dialog.plain(port)
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  await dialog.starttls({
    ca,
    servername: roleName(to),
    ...(pair === null ? {} : { cert: pair.certificate, key: pair.key }),
  })
  return dialog
}

test('a hop before TLS', async t => {
  const deployment = await deploy(t, { services: ['relay', 'signer'] })
  for (const name of ['relay', 'signer'] as const) {
    const dialog = await Dialog.plain(deployment.config[name].listen.port)
    await dialog.expect(220)
    assert.doesNotMatch(await dialog.say('EHLO client.test', 250), /AUTH/)
    assert.match(await dialog.say('MAIL FROM:<alice@example.test>', 530), /5\.7\.0/)
    dialog.destroy()
  }
})

test('who may not speak on a hop', async t => {
  const deployment = await deploy(t, { services: ['relay', 'signer'] })
  const { authority } = deployment
  const stranger = await makeAuthority('elsewhere.test')
  const cases: [what: string, to: 'signer' | 'relay', pair: KeyPair | null, said: RegExp][] = [
    ['no certificate', 'signer', null, /certificate for submission or relay .*\(none was shown\)/],
    ['no certificate', 'relay', null, /certificate for signer .*\(none was shown\)/],
    [
      'another CA',
      'signer',
      await issue(stranger, { role: 'submission' }),
      /certificate for submission or relay/,
    ],
    ['another CA', 'relay', await issue(stranger, { role: 'signer' }), /certificate for signer/],
    ['the wrong role', 'signer', await pairOf(deployment, 'signer'), /yours is for signer\.ptt\.internal/],
    [
      'the wrong role',
      'relay',
      await pairOf(deployment, 'submission'),
      /yours is for submission\.ptt\.internal/,
    ],
    [
      'the TLS certificate of submission',
      'relay',
      await issue(authority, { names: [`mail.${DOMAIN}`] }),
      /certificate for signer/,
    ],
  ]
  for (const [what, to, pair, said] of cases) {
    await t.test(`${what}, to the ${to}`, async t => {
      const dialog = await dial(t, deployment.config[to].listen.port, to, authority.certificate, pair)
      const reply = await dialog.say('EHLO client.test', 554)
      assert.match(reply, said)
      await dialog.closed()
    })
  }
})

test('the right role may', async t => {
  const deployment = await deploy(t, { services: ['relay', 'signer'] })
  const rights: [from: Role, to: 'signer' | 'relay'][] = [
    ['submission', 'signer'],
    ['relay', 'signer'],
    ['signer', 'relay'],
  ]
  for (const [from, to] of rights) {
    await t.test(`${from} to ${to}`, async t => {
      const { port } = deployment.config[to].listen
      const dialog = await dial(t, port, to, deployment.authority.certificate, await pairOf(deployment, from))
      assert.match(await dialog.say('EHLO client.test', 250), /XPTT/)
      await dialog.say('MAIL FROM:<>', 250)
      await dialog.say('QUIT', 221)
    })
  }
})

test('the relay may send through the signer only what is its own', async t => {
  const deployment = await deploy(t, { services: ['relay', 'signer'] })
  const { port } = deployment.config.signer.listen
  const dialog = await dial(
    t,
    port,
    'signer',
    deployment.authority.certificate,
    await pairOf(deployment, 'relay'),
  )
  await dialog.say('EHLO client.test', 250)
  await dialog.say(`MAIL FROM:<alice@${DOMAIN}>`, 550)
  await dialog.say(`MAIL FROM:<postmaster@${DOMAIN}>`, 250)
  await dialog.say('QUIT', 221)
})
