/**
 * Services with sockets that somebody else has opened, by systemd's own starter, and with credentials for files, as the
 * units of systemd/ have them; no running systemd is needed.
 */

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Deployment, deploy } from '../e2e/deployment.ts'
import { Dialog } from '../e2e/dialog.ts'
import { startProcess } from '../e2e/service-process.ts'
import { submit } from '../e2e/submit.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { run } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'

/** It listens at once, and becomes the program when the first client comes. The program gets nothing else. */
function activate(ports: readonly number[], names: string, credentials = ''): string[] {
  const listening = ports.flatMap(port => ['--listen', `127.0.0.1:${port}`])
  const setting = `CREDENTIALS_DIRECTORY=${credentials}`
  return ['systemd-socket-activate', ...listening, `--fdname=${names}`, `--setenv=${setting}`]
}

/** An address that no machine has (RFC 5737): who took it from ptt.toml would not start. */
const NOWHERE = '192.0.2.1'

for (const workers of [1, 2]) {
  test(`a message by sockets and credentials of systemd, where services have ${workers} process(es)`, async t => {
    if (!need(t, 'systemd-socket-activate', 'smtp-sink')) return
    const { deployment, starttls } = await deployed(t, workers)
    const { port } = deployment.config.submission.listen
    const relay = startProcess(
      t,
      deployment,
      'relay',
      activate([deployment.config.signer.relay.port], 'ptt-relay.socket'),
    )
    const submission = startProcess(
      t,
      deployment,
      'submission',
      activate([starttls, port], 'submission:submissions', credentialsOf(deployment)),
    )
    await Promise.all([connected(port), connected(deployment.config.signer.relay.port)])
    await deployment.start('signer')
    await deployment.event('key', ({ fields }) => fields.state === 'active')
    const id = await submit(t, deployment, { rcpt: { 'bob@internet.test': '' } })
    await deployment.event('delivered', ({ fields }) => fields.id === id)
    // The relay's socket is its foreman's, which has the queue; who goes to the Internet is a worker.
    const went = await deployment.event('attempt', ({ fields }) => fields.id === id)
    assert.equal(went.fields.worker !== undefined, workers > 1)
    // It tells the sockets' ports, not those of ptt.toml.
    for (const each of [port, deployment.config.signer.relay.port])
      await deployment.event('started', ({ fields }) => fields.port === each)

    const dialog = await Dialog.plain(starttls)
    await dialog.expect(220)
    assert.match(await dialog.say('EHLO client.test', 250), /STARTTLS/)
    await dialog.say('QUIT', 221)
    await submission.stop()
    await relay.stop()
  })
}

/** Keys of [submission]: the credential, and the file it is made of. */
const CREDENTIALS = {
  certificate: { name: 'tls-certificate', file: 'tls/submission.pem' },
  key: { name: 'tls-key', file: 'tls/submission.key' },
  hop_certificate: { name: 'hop-certificate', file: 'hop/submission.pem' },
  hop_key: { name: 'hop-key', file: 'hop/submission.key' },
}

/** A folder as systemd makes it, and no other one has these files then. */
function credentialsOf({ folder }: Deployment): string {
  const credentials = join(folder, 'credentials')
  mkdirSync(credentials)
  for (const { name, file } of Object.values(CREDENTIALS)) {
    renameSync(join(folder, file), join(credentials, name))
    // What an ACL allows the service's user shows as a right of the group.
    chmodSync(join(credentials, name), 0o440)
  }
  return credentials
}

async function deployed(t: TestContext, workers: number) {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const [port, starttls] = [await freePort(), await freePort()]
  const deployment = await deploy(t, {
    services: [],
    smtpPort: sink.port,
    toml: {
      submission: [
        `listen = "${NOWHERE}:${port}"`,
        `listen_starttls = "${NOWHERE}:${starttls}"`,
        `workers = ${workers}`,
        ...Object.entries(CREDENTIALS).map(([key, { name }]) => `${key} = "credential:${name}"`),
      ],
      relay: [`listen = "${NOWHERE}:25"`, `workers = ${workers}`],
    },
  })
  return { deployment, starttls }
}

test('a socket that nothing is behind is refused', async t => {
  if (!need(t, 'systemd-socket-activate')) return
  const deployment = await deploy(t, { services: [] })
  const wrongs: [service: string, names: string, said: RegExp][] = [
    [
      'submission',
      'submission',
      /"submission" was passed, but \[submission\] of ptt\.toml has no listen_starttls/,
    ],
    ['relay', 'submissions', /"submissions" was passed, but relay has none of that name/],
    ['relay', 'smtp:smtp', /of 2 sockets .* "smtp" is the name of one: each needs one of its own/],
  ]
  for (const [service, names, said] of wrongs) {
    const ports = await Promise.all(names.split(':').map(() => freePort()))
    const [program, words] = pttCommand(service, '--config', deployment.config.file)
    const [activator = '', ...options] = activate(ports, names)
    const ended = run(activator, [...options, program, ...words])
    await Promise.any(ports.map(port => connected(port)))
    const { code, output } = await ended
    assert.equal(code, 1, output)
    assert.match(output, said)
  }
})

/** Resolves when something listens there: the activator may still be starting. */
async function connected(port: number): Promise<void> {
  for (;;) {
    const dialog = await Dialog.plain(port).catch(() => null)
    if (dialog !== null) return dialog.destroy()
  }
}
