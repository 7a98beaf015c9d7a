/** A push that the Git host tells of is in force at once, on each service that was told. */

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../peers/port.ts'
import { DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

const SECRET = '3f1c9a7e5b2d4860a1c3e5f708192a3b'

test('POST /hooks/git: revoked at the next command', async t => {
  const ports = { submission: await freePort(), signer: await freePort(), relay: await freePort() }
  const deployment = await deploy(t, {
    services: [],
    toml: {
      directory: [
        'interval = "1h"',
        '[hooks]',
        'secret = "hooks.secret"',
        ...Object.entries(ports).map(([service, port]) => `${service} = "127.0.0.1:${port}"`),
      ],
    },
  })
  writeFileSync(join(deployment.folder, 'hooks.secret'), `${SECRET}\n`, { mode: 0o600 })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  const alice = await signIn(t, deployment)
  const commit = await deployment.repository.commit({
    [`${DOMAIN}/users/alice.toml`]: null,
    [`${DOMAIN}/domain.toml`]: '',
  })
  await alice.say('NOOP', 250)

  const body = JSON.stringify({ ref: 'refs/heads/main', after: commit })
  const digest = createHmac('sha256', SECRET).update(body).digest('hex')
  const senders = {
    submission: { 'X-Hub-Signature-256': `sha256=${digest}` },
    signer: { 'X-Gitea-Signature': digest },
    relay: { 'X-Gitlab-Token': SECRET },
  }
  for (const name of ['submission', 'signer', 'relay'] as const) {
    const url = `http://127.0.0.1:${ports[name]}/hooks/git`
    assert.equal((await fetch(url, { method: 'POST', body })).status, 401)
    assert.equal((await fetch(url, { method: 'POST', body, headers: senders[name] })).status, 202)
    await deployment.event(
      'directory',
      ({ service, fields }) => service === name && fields.state === 'in force' && fields.commit === commit,
    )
  }
  await alice.say(`MAIL FROM:<${USER}>`, 421)
  await alice.closed()
  assert.ok(!JSON.stringify(deployment.events).includes(SECRET))
})

test('a secret that could be guessed, or that others may read, is refused', async t => {
  const port = await freePort()
  const deployment = await deploy(t, {
    services: [],
    toml: { directory: ['[hooks]', 'secret = "hooks.secret"', `relay = "127.0.0.1:${port}"`] },
  })
  const file = join(deployment.folder, 'hooks.secret')
  writeFileSync(file, 'short\n', { mode: 0o600 })
  await assert.rejects(deployment.start('relay'), /hooks\.secret: is shorter than 32 characters/)
  writeFileSync(file, `${SECRET}\n`)
  chmodSync(file, 0o644)
  await assert.rejects(deployment.start('relay'), /hooks\.secret: others may read it/)
})
