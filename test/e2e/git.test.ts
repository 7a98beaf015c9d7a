/** Who may send is what Git says, and stays what it said last where it says nothing or nonsense. No service is restarted. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { startGitHttp } from '../peers/git-http.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { freePort } from '../peers/port.ts'
import { run } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'
import { type Deployment, DOMAIN, deploy, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'
import { signIn } from './sign-in.ts'

const TO = ['bob@internet.test']
const ALICE = `${DOMAIN}/users/alice.toml`
const CAROL = `carol@${DOMAIN}`
const SECRET = 'a password that comes on standard input'

/** The repository is looked at all the time: nobody has to say that it has changed. */
const begin = (t: TestContext): Promise<Deployment> =>
  deploy(t, { toml: { directory: ['interval = "100ms"'] } })

const inForce = (deployment: Deployment, commit: string) =>
  deployment.event(
    'directory',
    ({ service, fields }) =>
      service === 'submission' && fields.state === 'in force' && fields.commit === commit,
  )

const messageFrom = (user: string): string => `From: ${user}\r\nTo: ${TO}\r\n\r\nText.\r\n`

async function send(deployment: Deployment, user = USER, password?: string): Promise<string> {
  const submission = deployment.submission(messageFrom(user), TO)
  const sent = await nodemailer({
    ...submission,
    username: user,
    from: user,
    ...(password === undefined ? {} : { password }),
  })
  return sent.output
}

async function ptt(deployment: Deployment, args: readonly string[], input = ''): Promise<string> {
  const { code, output } = await run(...pttCommand(...args, '--config', deployment.config.file), {
    input,
  })
  assert.equal(code, 0, output)
  return output
}

test('a broken commit: the last good one stays in force, and file and line are told', async t => {
  const deployment = await begin(t)
  const good = await deployment.repository.git('rev-parse', 'main')
  const broken = await deployment.repository.commit({
    [ALICE]: null,
    [`${DOMAIN}/users/carol.toml`]: '# Carol\npassword = "none that we know"\n',
  })
  const { fields, level } = await deployment.event(
    'directory',
    ({ service, fields }) => service === 'submission' && fields.state === 'broken',
  )
  assert.equal(level, 'error')
  assert.deepEqual(
    [fields.commit, fields.in_force, fields.file, fields.line],
    [broken, good, `${DOMAIN}/users/carol.toml`, 2],
  )
  assert.match(await send(deployment), /^250 /)
  const accepted = await deployment.event('accepted', ({ service }) => service === 'submission')
  assert.equal(accepted.fields.commit, good)

  const mended = await deployment.repository.commit({ [`${DOMAIN}/users/carol.toml`]: null })
  await inForce(deployment, mended)
  assert.match(
    await send(deployment),
    /535 5\.7\.8/,
    'alice is gone now, as the broken commit already wanted',
  )
})

test('the remote cannot be reached: users go on, also after a restart; it is told once', async t => {
  const port = await freePort()
  const directory = [`repository = "http://localhost:${port}/users.git"`, 'interval = "100ms"']
  const deployment = await deploy(t, { services: [], toml: { directory } })
  const remote = await startGitHttp(deployment.repository.path, { port })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  assert.match(await send(deployment), /^250 /)

  await remote.stop()
  // The first may be a connection that broke; curl has written both "Couldn't" and "Could not".
  const nobody = new RegExp(
    `^unable to access 'http://localhost:${port}/users\\.git/': Failed to connect to localhost port ${port}: Could(n't| not) connect to server$`,
  )
  const { fields, level } = await deployment.event(
    'directory',
    ({ service, fields }) =>
      service === 'submission' && fields.state === 'unreachable' && nobody.test(String(fields.reason)),
  )
  assert.equal(level, 'error')
  assert.equal(fields.in_force, await deployment.repository.git('rev-parse', 'main'))
  assert.match(await send(deployment), /^250 /)
  await deployment.stop('submission')
  await deployment.start('submission')
  assert.match(await send(deployment), /^250 /)

  const commit = await deployment.repository.commit({ [ALICE]: null })
  const back = await startGitHttp(deployment.repository.path, { port })
  t.after(() => back.stop())
  await inForce(deployment, commit)
  await deployment.event(
    'directory',
    ({ service, fields }) => service === 'submission' && fields.state === 'reachable',
  )
  assert.match(await send(deployment), /535 5\.7\.8/)
  const told = deployment.events.filter(
    ({ service, fields }) => service === 'submission' && fields.state === 'unreachable',
  )
  for (const reason of new Set(told.map(({ fields }) => fields.reason))) {
    const times = told.filter(({ fields }) => fields.reason === reason).length
    assert.ok(times <= 2, `once in each life of the service: ${reason}`)
  }
})

test('a user added by ptt user add is let in, while a session of another goes on', async t => {
  const deployment = await begin(t)
  const alice = await signIn(t, deployment)
  await alice.say(`MAIL FROM:<${USER}>`, 250)
  assert.match(await send(deployment, CAROL, SECRET), /535 5\.7\.8/)

  const said = await ptt(deployment, ['user', 'add', 'carol'], `${SECRET}\n`)
  assert.match(said, new RegExp(`${CAROL} added`))
  const commit = await deployment.repository.git('rev-parse', 'main')
  const { fields } = await inForce(deployment, commit)
  assert.equal(fields.users, 2)
  assert.match(await send(deployment, CAROL, SECRET), /^250 /)
  assert.match(await send(deployment, CAROL, `${SECRET}.`), /535 5\.7\.8/)

  // In the middle of the transaction that was begun before.
  await alice.say(`RCPT TO:<${TO}>`, 250)
  await alice.say('DATA', 354)
  alice.send(`${messageFrom(USER)}.\r\n`)
  await alice.expect(250)
  // And what is his, is not hers.
  assert.match(await alice.say(`MAIL FROM:<${CAROL}>`), /^550 5\.7\.1 /)
  await alice.say(`MAIL FROM:<${USER}>`, 250)
  await alice.say('RSET', 250)

  await ptt(deployment, ['user', 'passwd', 'carol'], 'another password of hers\n')
  await inForce(deployment, await deployment.repository.git('rev-parse', 'main'))
  assert.match(await send(deployment, CAROL, SECRET), /535 5\.7\.8/)
  assert.match(await send(deployment, CAROL, 'another password of hers'), /^250 /)

  await alice.say('QUIT', 221)
  const log = JSON.stringify(deployment.events)
  for (const secret of [SECRET, 'another password of hers']) assert.ok(!log.includes(secret))
})

test('a user whose name needs quotes in an address sends, however the name is typed', async t => {
  const verifier = formatVerifier(await makeVerifier(SECRET, { iterations: 4096 }))
  const file = `password = "${verifier}"\n`
  const deployment = await deploy(t, { files: { [`${DOMAIN}/users/bo b.toml`]: file } })
  const address = `"bo b"@${DOMAIN}`
  for (const username of [address, `bo b@${DOMAIN}`, 'Bo B']) {
    const submission = deployment.submission(messageFrom(address), TO)
    const { output } = await nodemailer({ ...submission, username, password: SECRET, from: address })
    assert.match(output, /^250 /, username)
  }
  // RFC 4954 §5: AUTH= is a mailbox.
  const accepted = deployment.events.filter(
    ({ name, service }) => name === 'accepted' && service === 'submission',
  )
  assert.deepEqual(
    accepted.map(({ fields }) => fields.user),
    [address, address, address],
  )
})

const PUSHES: [what: string, change: (file: string) => string | null, at: RegExp, later: RegExp][] = [
  ['removed', () => null, /^421 4\.7\.0 This user may not send mail any more/, /^535 5\.7\.8 /],
  [
    'suspended',
    file => `${file}\nsuspended = "Call the help desk"\n`,
    /^421 4\.7\.0 Call the help desk/,
    /^535 5\.7\.13 Call the help desk/,
  ],
]

for (const [what, change, at, later] of PUSHES)
  test(`a user who is ${what} is cut off at the next command of each session`, async t => {
    // Only SIGHUP says that something was pushed.
    const deployment = await deploy(t, { toml: { directory: ['interval = "1h"'] } })
    const idle = await signIn(t, deployment)
    const pipelining = await signIn(t, deployment)
    const transacting = await signIn(t, deployment)
    await transacting.say(`MAIL FROM:<${USER}>`, 250)
    const sending = await signIn(t, deployment)
    await sending.say(`MAIL FROM:<${USER}>`, 250)
    await sending.say(`RCPT TO:<${TO}>`, 250)
    await sending.say('DATA', 354)
    const leaving = await signIn(t, deployment)

    const file = await deployment.repository.git('show', `main:${ALICE}`)
    await deployment.repository.commit({ [ALICE]: change(file), [`${DOMAIN}/domain.toml`]: '' })
    await idle.say('NOOP', 250)
    await deployment.reload('submission')
    const dialogs: [dialog: Dialog, line: string][] = [
      [idle, 'NOOP'],
      [pipelining, `MAIL FROM:<${USER}>\r\nRCPT TO:<${TO}>\r\nDATA\r\n${messageFrom(USER)}.`],
      [transacting, `RCPT TO:<${TO}>`],
    ]
    for (const [dialog, line] of dialogs) {
      assert.match(await dialog.say(line), at)
      await dialog.closed()
    }
    // Its last command was DATA, and was allowed: one message, by the commit that allowed its MAIL.
    sending.send(`${messageFrom(USER)}.\r\n`)
    await sending.expect(250)
    await sending.say('RSET', 421)
    await sending.closed()
    await leaving.say('QUIT', 221)

    const { port } = deployment.config.submission.listen
    const again = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
    t.after(() => again.destroy())
    await again.expect(220)
    await again.say('EHLO client.test', 250)
    assert.match(
      await again.say(`AUTH PLAIN ${Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')}`),
      later,
    )
    const accepted = deployment.events.filter(
      ({ name, service }) => name === 'accepted' && service === 'submission',
    )
    assert.equal(accepted.length, 1)
  })
