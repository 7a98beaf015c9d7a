/** What the directory says of a user, as a mail program sees it: suspension, groups, limits. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addAppPassword, passwordParameters, removeAppPassword } from '../../src/directory/app-passwords.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { setPassword } from '../../src/directory/users.ts'
import { type Deployment, DOMAIN, deploy, PASSWORD, USER } from '../e2e/deployment.ts'
import { Dialog } from '../e2e/dialog.ts'
import { gsasl } from '../peers/gsasl.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'

const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
const file = (...lines: string[]) => [`password = "${verifier}"`, ...lines, ''].join('\n')
const ALICE = `${DOMAIN}/users/alice.toml`
const TO = 'bob@internet.test'

const begin = (t: TestContext, files: Record<string, string>): Promise<Deployment> =>
  deploy(t, { toml: { directory: ['interval = "100ms"'] }, files })

async function dial(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const { port } = deployment.config.submission.listen
  const dialog = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  return dialog
}

const plain = (password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${USER}\0${password}`).toString('base64')}`

async function signIn(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const dialog = await dial(t, deployment)
  await dialog.say(plain(PASSWORD), 235)
  return dialog
}

async function push(deployment: Deployment, files: Record<string, string>): Promise<void> {
  await inForce(deployment, await deployment.repository.commit(files))
}

async function inForce(deployment: Deployment, commit: string): Promise<void> {
  await deployment.event(
    'directory',
    ({ service, fields }) =>
      service === 'submission' && fields.state === 'in force' && fields.commit === commit,
  )
}

const BOB = `${DOMAIN}/users/bob.toml`
const SERVICES = ['submission', 'signer', 'relay'] as const

/** What is never worse than before: a commit, and what is said of it. */
const broken: [name: string, files: Record<string, string>, at: string, rule: RegExp][] = [
  ['no TOML', { [BOB]: `# bob\n${file('senders = [')}` }, `${BOB}:4`, /^not TOML: /],
  [
    'somebody twice',
    { [`${DOMAIN}/aliases.toml`]: 'alice = ["x@y.test"]' },
    `${ALICE}:1`,
    /^alice@example\.test is already in .*aliases\.toml:1$/,
  ],
  ['an unknown key', { [BOB]: file('sender = ["info"]') }, `${BOB}:2`, /^there is no key "sender" here$/],
  ['a password in clear', { [BOB]: '\npassword = "hunter2"\n' }, `${BOB}:2`, /^password: not a verifier/],
  ['few iterations', { [BOB]: file().replace('4096', '1000') }, `${BOB}:1`, /^password: weak hash: 1000/],
  [
    'a sender of others',
    { [BOB]: file('', 'senders = ["*@bank.test"]') },
    `${BOB}:3`,
    /^senders: .* outside/,
  ],
  [
    'a limit of nothing',
    { [BOB]: file('limits.messages_per_day = 0') },
    `${BOB}:2`,
    /^limits\.messages_per_day/,
  ],
  [
    'targets without end',
    { [`${DOMAIN}/aliases.toml`]: 'a = ["b"]\nb = ["a"]' },
    `${DOMAIN}/aliases.toml:1`,
    /^targets never end/,
  ],
]

test('what is wrong is told by each service, with file, line and rule, and by ptt directory status; nothing changes', async t => {
  if (!need(t, 'git')) return
  const deployment = await begin(t, { [`${DOMAIN}/domain.toml`]: '' })
  const dialog = await signIn(t, deployment)
  let good = await deployment.repository.git('rev-parse', 'main')
  for (const [name, files, at, rule] of broken) {
    const commit = await deployment.repository.commit(files)
    const told = await Promise.all(
      SERVICES.map(each =>
        deployment.event(
          'directory',
          ({ service, fields }) => service === each && fields.state === 'broken' && fields.commit === commit,
        ),
      ),
    )
    for (const { level, fields } of told) {
      assert.deepEqual([level, fields.in_force], ['error', good], name)
      assert.match(String(fields.rule), rule, name)
      if (at !== '') assert.equal(`${fields.file}:${fields.line}`, at, name)
    }
    const { code, output } = await run(
      ...pttCommand('directory', 'status', '--json', '--config', deployment.config.file),
    )
    const { head, inForce } = JSON.parse(output)
    assert.deepEqual([code, head.kind, head.commit], [1, 'broken', commit])
    const { file, line, rule: said } = told[0]?.fields ?? {}
    assert.deepEqual(head.problems[0], { file, line, rule: said })
    for (const each of SERVICES) assert.equal(inForce[each].commit, good)
    assert.match(await dialog.say(`MAIL FROM:<${USER}>`), /^250 /, name)
    await dialog.say('RSET', 250)

    good = await deployment.repository.commit(
      Object.fromEntries(Object.keys(files).map(path => [path, null])),
    )
    const since = await Promise.all(
      SERVICES.map(each =>
        deployment.event(
          'directory',
          ({ service, fields }) => service === each && fields.state === 'in force' && fields.commit === good,
        ),
      ),
    )
    // Seconds from the commit to its enforcement, by each service.
    for (const { fields } of since)
      assert.ok(Number(fields.lag_seconds) >= 0 && Number.isInteger(fields.lag_seconds), name)
  }
})

test('a suspended user is told why after the right password; one who is signed in, at the next command', async t => {
  if (!need(t, 'git')) return
  const deployment = await begin(t, {})
  const before = await signIn(t, deployment)
  await push(deployment, { [ALICE]: file('suspended = "Call the help desk, 555-0100"') })
  assert.equal(await before.say(`MAIL FROM:<${USER}>`), '421 4.7.0 Call the help desk, 555-0100\r\n')
  await before.closed()
  const dialog = await dial(t, deployment)
  // A stranger does not learn it.
  assert.match(await dialog.say(plain('guess')), /^535 5\.7\.8 /)
  assert.equal(await dialog.say(plain(PASSWORD)), '535 5.7.13 Call the help desk, 555-0100\r\n')
  const { fields } = await deployment.event('refused', ({ fields }) =>
    /suspended/.test(String(fields.reason)),
  )
  assert.equal(fields.reason, `${USER} is suspended`)
  await push(deployment, { [ALICE]: file() })
  await signIn(t, deployment)
})

test('a member of a group sends as it, as long as he is one', async t => {
  if (!need(t, 'git')) return
  const group = (...members: string[]) => ({
    [`${DOMAIN}/groups/sales.toml`]: `members = ${JSON.stringify(members)}\n`,
  })
  const deployment = await begin(t, group('alice'))
  const dialog = await signIn(t, deployment)
  await dialog.say(`MAIL FROM:<sales@${DOMAIN}>`, 250)
  await dialog.say(`RCPT TO:<${TO}>`, 250)
  await dialog.say('DATA', 354)
  assert.match(await dialog.say(`From: sales@${DOMAIN}\r\n\r\nText.\r\n.`), /^250 2\.0\.0 /)
  await push(deployment, group())
  assert.match(await dialog.say(`MAIL FROM:<sales@${DOMAIN}>`), /^550 5\.7\.1 /)
})

test("a user's own limits: SIZE=, octets, recipients; the session goes on", async t => {
  if (!need(t, 'git')) return
  const deployment = await begin(t, {
    [`${DOMAIN}/domain.toml`]: 'default_limits = { message_size = "1 KiB", recipients_per_message = 1 }\n',
    [ALICE]: file('limits = { recipients_per_message = 2 }'),
  })
  const dialog = await signIn(t, deployment)
  assert.equal(
    await dialog.say(`MAIL FROM:<${USER}> SIZE=1025`),
    `552 5.3.4 ${USER} may send messages of up to 1024 octets\r\n`,
  )
  const header = `From: ${USER}\r\n\r\n`
  const send = async (octets: number): Promise<string> => {
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    await dialog.say(`RCPT TO:<${TO}>`, 250)
    await dialog.say('DATA', 354)
    const body = 'x'
      .repeat(octets - header.length - 2)
      .replace(/x{72}(?=xxx)/g, line => `${line.slice(2)}\r\n`)
    return dialog.say(`${header}${body}\r\n.`)
  }
  assert.match(await send(1024), /^250 2\.0\.0 /)
  assert.match(await send(1025), /^552 5\.3\.4 /)
  await dialog.say(`MAIL FROM:<${USER}> SIZE=1024`, 250)
  await dialog.say(`RCPT TO:<${TO}>`, 250)
  await dialog.say(`RCPT TO:<carol@internet.test>`, 250)
  assert.equal(
    await dialog.say(`RCPT TO:<dora@internet.test>`),
    `452 4.5.3 ${USER} may send a message to up to 2 recipients\r\n`,
  )
  await dialog.say('DATA', 354)
  assert.match(await dialog.say(`${header}.`), /^250 2\.0\.0 /)

  // Longer than what submission holds: it is on its way to the signer already when it turns out too long.
  const limits = 'limits = { message_size = "700 KB", recipients_per_message = 2 }'
  await push(deployment, { [ALICE]: file(limits) })
  assert.match(await send(900_000), /^552 5\.3\.4 /)
  assert.match(await send(600_000), /^250 2\.0\.0 /)
})

test('app passwords: by PLAIN, LOGIN and SCRAM, named in the log, each taken away alone', async t => {
  if (!need(t, 'git', 'gsasl', 'openssl')) return
  const deployment = await deploy(t, {
    toml: { directory: ['interval = "100ms"'], submission: ['listen_starttls = "127.0.0.1:0"'] },
  })
  const { config, repository } = deployment
  const options = { ...config.directory, domain: DOMAIN, temporary: deployment.folder }
  const done = ({ commit }: { commit: string }) => inForce(deployment, commit)
  const phone = await addAppPassword(options, 'alice', 'phone')
  const printer = await addAppPassword(options, 'alice', 'her printer')
  await done(printer)
  assert.match(phone.password, /^([a-z2-9]{5}-){3}[a-z2-9]{5}$/)
  assert.notEqual(phone.password, printer.password)
  await assert.rejects(addAppPassword(options, 'alice', 'phone'), /has an app password phone already/)
  const { starttls_port: port } = (
    await deployment.event('started', ({ service }) => service === 'submission')
  ).fields
  const try_ = async (password: string, mechanism: string) => {
    const ca = join(deployment.folder, 'hop/ca.pem')
    const extra = mechanism.endsWith('PLUS') ? [] : ['--no-cb']
    const before = deployment.events.length
    const signIn = { port: Number(port), username: USER, password, ca }
    const { code, output } = await gsasl(signIn, ['--mechanism', mechanism, ...extra])
    if (code !== 0) return output.match(/^(535 5\.7\.8)/m)?.[1]
    const { fields } = deployment.events.slice(before).find(({ name }) => name === 'authenticated') ?? {}
    return fields?.app_password ?? 'the own'
  }
  for (const mechanism of ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']) {
    assert.equal(await try_(PASSWORD, mechanism), 'the own', mechanism)
    assert.equal(await try_(phone.password, mechanism), 'phone', mechanism)
    assert.equal(await try_(printer.password, mechanism), 'her printer', mechanism)
    assert.equal(await try_(phone.password.slice(1), mechanism), '535 5.7.8', mechanism)
  }

  const dialog = await dial(t, deployment)
  await dialog.say(plain(phone.password), 235)
  await done(await removeAppPassword(options, 'alice', 'phone'))
  assert.match(await dialog.say('NOOP'), /^421 4\.7\.0 This app password is not valid any more/)
  assert.equal(await try_(phone.password, 'SCRAM-SHA-256'), '535 5.7.8')
  assert.equal(await try_(printer.password, 'SCRAM-SHA-256'), 'her printer')
  await assert.rejects(removeAppPassword(options, 'alice', 'phone'), /has no app password phone/)

  // Another password: the app passwords stay, under the salt they have.
  const parameters = await passwordParameters(options, 'alice')
  await done(await setPassword(options, 'alice', await makeVerifier('another one', parameters)))
  assert.equal(await try_('another one', 'SCRAM-SHA-256'), 'the own')
  assert.equal(await try_(printer.password, 'PLAIN'), 'her printer')
  assert.equal(await try_(PASSWORD, 'PLAIN'), '535 5.7.8')
  await assert.rejects(
    setPassword(options, 'alice', await makeVerifier('under another salt')),
    /app_passwords\.her printer: its salt and iterations must be those of password/,
  )
  const log = await repository.git('log', '--format=%s', '-4')
  assert.match(log, /^users: Change the password of alice.*\nusers: Remove the app password phone of alice/)
})
