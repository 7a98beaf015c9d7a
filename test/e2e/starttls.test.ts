/** The second door, :587 with STARTTLS (RFC 6409, RFC 3207): nothing of worth before TLS. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { run } from '../peers/program.ts'
import { deploy, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

test('AUTH and MAIL only under TLS', async t => {
  const port = await freePort()
  const deployment = await deploy(t, { toml: { submission: [`listen_starttls = "127.0.0.1:${port}"`] } })
  const tls = { ca: deployment.authority.certificate, servername: 'localhost' }

  await t.test('not offered, and refused, in clear text', async () => {
    const dialog = await Dialog.plain(port)
    await dialog.expect(220)
    const offer = await dialog.say('EHLO client.test', 250)
    assert.match(offer, /STARTTLS/)
    assert.doesNotMatch(offer, /AUTH/)
    assert.match(await dialog.say(`MAIL FROM:<${USER}>`), /^530 5\.7\.0 /)
    assert.match(await dialog.say('AUTH PLAIN AGFsaWNlAHg='), /^5\d\d /)
    await dialog.starttls(tls)
    assert.match(await dialog.say('EHLO client.test', 250), /AUTH/)
    await dialog.say('QUIT', 221)
  })

  await t.test('what is put behind STARTTLS in clear text is not obeyed', async () => {
    const dialog = await Dialog.plain(port)
    await dialog.expect(220)
    await dialog.say('EHLO client.test', 250)
    dialog.send('STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\n')
    assert.match(await dialog.expect(220), /TLS/)
    // Nothing but TLS from here on: no reply to the commands that came in the same packet.
    dialog.send('NOOP\r\n')
    await dialog.closed()
  })

  await t.test('swaks sends by it', async t => {
    if (!need(t, 'swaks')) return
    const args = ['--server', '127.0.0.1', '--port', String(port), '--tls', '--tls-verify']
    const ca = ['--tls-ca-path', deployment.submission('', []).ca]
    const user = ['--auth', 'PLAIN', '--auth-user', USER, '--auth-password', PASSWORD]
    const sent = await run('swaks', [...args, ...ca, ...user, '--from', USER, '--to', 'bob@internet.test'])
    assert.equal(sent.code, 0, sent.output)
    await deployment.event('queued')
  })
})
