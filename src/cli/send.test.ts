import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, beforeEach, test } from 'node:test'
import { run } from '../../test/peers/program.ts'
import { type Listener, listen } from '../net/listener.ts'
import { TlsAcceptor } from '../net/tls.ts'
import { silent } from '../observe/event.ts'
import { LIMITS } from '../smtp/limits.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { formatMailbox, formatPath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { issue, makeAuthority } from './authority.ts'
import { SendError, type SendOptions, send } from './send.ts'

const ID = '01JHMFA2Y6ZZZZZZZZZZZZZZZZ'
const folder = mkdtempSync(join(tmpdir(), 'ptt-send-'))
const at = (name: string) => join(folder, name)
let listener: Listener

/** What the server was told, and what it is to answer. */
let seen: { reversePath: string; parameters: MailParameters; recipients: string[]; content: string }
let answers: { auth?: Reply; mail?: Reply; message?: Reply; rcpt?: Record<string, Reply> }

before(async () => {
  const authority = await makeAuthority('example.test')
  writeFileSync(at('ca.pem'), authority.certificate)
  writeFileSync(at('other-ca.pem'), (await makeAuthority('other.test')).certificate)
  writeFileSync(at('password'), 'secret\n', { mode: 0o600 })
  writeFileSync(at('open'), 'secret\n', { mode: 0o644 })
  listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    session: {
      hostname: 'mail.example.test',
      limits: LIMITS,
      tls: 'implicit',
      auth: ['PLAIN', 'LOGIN'],
      authRequired: true,
      tlsRequired: true,
      hop: false,
    },
    acceptor: TlsAcceptor.forClients(await issue(authority, { names: ['127.0.0.1', 'localhost'] }), 5_000),
    idleMs: 5_000,
    maxConnections: 10,
    log: silent,
    handler: () => {
      let content = ''
      return {
        async auth(shown) {
          const known =
            shown.type === 'password' &&
            shown.authenticationIdentity === 'alice@example.test' &&
            shown.password === 'secret'
          return answers.auth ?? (known ? reply(235, '2.7.0', 'Hello') : reply(535, '5.7.8', 'Who are you?'))
        },
        mail(reversePath, parameters) {
          seen = { reversePath: formatPath(reversePath), parameters, recipients: [], content: '' }
          return answers.mail ?? reply(250, '2.1.0', 'ok')
        },
        rcpt({ forwardPath }) {
          const recipient = formatMailbox(forwardPath)
          seen.recipients.push(recipient)
          return answers.rcpt?.[forwardPath.localPart] ?? reply(250, '2.1.5', 'ok')
        },
        content(octets) {
          content += Buffer.from(octets).toString('latin1')
        },
        async message() {
          seen.content = content
          return answers.message ?? reply(250, '2.0.0', `Queued as ${ID}`)
        },
        reset() {
          content = ''
        },
      }
    },
  })
  writeFileSync(
    at('ptt.toml'),
    `domain = "example.test"
[send]
server = "localhost:${listener.port}"
username = "alice@example.test"
password_file = "password"
ca = "ca.pem"
`,
  )
  writeFileSync(at('no-send.toml'), 'domain = "example.test"\n')
})

after(async () => {
  await listener.close(0)
  rmSync(folder, { recursive: true })
})

beforeEach(() => {
  seen = { reversePath: '', parameters: { body: '7BIT', smtputf8: false }, recipients: [], content: '' }
  answers = {}
})

const MESSAGE = 'From: alice@example.test\nTo: bob@internet.test\nBcc: eve@e.test\n\nHello\n.\nBob\n'

function sent(args: readonly string[], options: Partial<SendOptions> = {}, input = MESSAGE): Promise<string> {
  return send(args, { config: at('ptt.toml'), ...options }, Readable.from([Buffer.from(input)]))
}

/** All in options, no configuration. */
const given = (): SendOptions => ({
  config: at('none.toml'),
  server: `127.0.0.1:${listener.port}`,
  username: 'alice@example.test',
  passwordFile: at('password'),
  ca: at('ca.pem'),
})

test('a message goes to the recipients named, without Bcc, up to the lone dot', async () => {
  assert.equal(await sent(['bob@internet.test', 'Carol <carol@internet.test>']), ID)
  assert.equal(seen.reversePath, '<alice@example.test>')
  assert.deepEqual(seen.recipients, ['bob@internet.test', 'carol@internet.test'])
  assert.equal(seen.content, 'From: alice@example.test\r\nTo: bob@internet.test\r\n\r\nHello\r\n')
})

test('-t adds those the message names, Bcc among them', async () => {
  await sent(['carol@internet.test', 'bob@internet.test'], { readRecipients: true })
  assert.deepEqual(seen.recipients, ['carol@internet.test', 'bob@internet.test', 'eve@e.test'])
})

for (const options of [{ ignoreDots: true }, { o: 'i' }] as const) {
  test(`a lone dot is text with ${JSON.stringify(options)}`, async () => {
    await sent(['bob@internet.test'], options)
    assert.ok(seen.content.endsWith('\r\n\r\nHello\r\n.\r\nBob\r\n'), seen.content)
  })
}

const senders: [from: string | undefined, reversePath: string][] = [
  [undefined, '<alice@example.test>'],
  ['news@example.test', '<news@example.test>'],
  ['News <news@example.test>', '<news@example.test>'],
  ['news', '<news@example.test>'],
  ['', '<>'],
  ['<>', '<>'],
]
for (const [from, reversePath] of senders) {
  test(`-f ${JSON.stringify(from)} is ${reversePath}`, async () => {
    await sent(['bob@internet.test'], from === undefined ? {} : { from })
    assert.equal(seen.reversePath, reversePath)
  })
}

test('everything can be said by options', async () => {
  assert.equal(await sent(['bob@internet.test'], given()), ID)
})

test('a recipient without a domain is of ours', async () => {
  await sent(['bob'])
  assert.deepEqual(seen.recipients, ['bob@example.test'])
})

test('octets above 127 are announced', async () => {
  await sent(['bob@internet.test'], {}, 'From: alice@example.test\nSubject: é\n\né\n')
  assert.equal(seen.parameters.body, '8BITMIME')
  assert.equal(seen.parameters.smtputf8, true)
})

test('the command reads standard input, prints the id and ends with the status', async () => {
  const main = join(import.meta.dirname, 'main.ts')
  const command = (...args: string[]) => run(process.execPath, [main, 'send', ...args], { input: MESSAGE })
  const [good, refused, misused] = await Promise.all([
    command('-c', at('ptt.toml'), '-oi', '-fnews@example.test', 'bob@internet.test'),
    command('-c', at('no-send.toml'), 'bob@internet.test'),
    command('--to', 'bob@internet.test'),
  ])
  assert.deepEqual(good, { code: 0, output: `${ID}\n` })
  assert.equal(seen.reversePath, '<news@example.test>')
  assert.equal(refused.code, 78)
  assert.match(refused.output, /^ptt send: .*no \[send\] table/)
  assert.equal(misused.code, 64)
  assert.match(misused.output, /unknown option '--to'/)
})

const failures: [
  what: string,
  status: number,
  message: RegExp,
  args: readonly string[],
  options: () => Partial<SendOptions>,
  answers?: typeof answers,
  input?: string,
][] = [
  ['nobody to send to', 64, /who gets it/, [], () => ({})],
  ['a recipient that is none', 64, /"b@@c" is not an address/, ['b@@c'], () => ({})],
  ['two senders', 64, /one address/, ['bob@b.test'], () => ({ from: 'a@b.test, c@d.test' })],
  ['a server that is none', 64, /1:2:3/, ['bob@b.test'], () => ({ ...given(), server: '1:2:3' })],
  ['a recipient without a domain, and no configuration', 64, /not an address/, ['bob'], given],
  [
    'a header that names nobody',
    65,
    /name nobody/,
    [],
    () => ({ readRecipients: true }),
    {},
    'Subject: x\n\n',
  ],
  ['a header that is malformed', 65, /malformed/, [], () => ({ readRecipients: true }), {}, 'To: b@@c\n\n'],
  ['MAIL refused', 69, /^550 5\.7\.1 No/, ['bob@b.test'], () => ({}), { mail: reply(550, '5.7.1', 'No') }],
  ['MAIL refused for now', 75, /^451 4/, ['bob@b.test'], () => ({}), { mail: reply(451, '4.3.0', 'No') }],
  [
    'the message refused',
    69,
    /^554 5\.6/,
    ['bob@b.test'],
    () => ({}),
    { message: reply(554, '5.6.0', 'No') },
  ],
  ['the message deferred', 75, /^451 4/, ['bob@b.test'], () => ({}), { message: reply(451, '4.3.0', 'No') }],
  [
    'the only recipient refused',
    69,
    /^bob@b\.test: 550 5\.1\.1 No$/,
    ['bob@b.test'],
    () => ({}),
    { rcpt: { bob: reply(550, '5.1.1', 'No') } },
  ],
  [
    'one recipient of two refused',
    69,
    new RegExp(`^queued as ${ID}, but not for all: bob@b\\.test: 550 5\\.1\\.1 No$`),
    ['bob@b.test', 'eve@b.test'],
    () => ({}),
    { rcpt: { bob: reply(550, '5.1.1', 'No') } },
  ],
  [
    'one recipient of two deferred',
    75,
    /^queued as .*bob@b\.test: 452 4\.5\.3/,
    ['bob@b.test', 'eve@b.test'],
    () => ({}),
    { rcpt: { bob: reply(452, '4.5.3', 'Too many') } },
  ],
  ['a wrong password', 69, /AUTH: 535 5\.7\.8/, ['bob@b.test'], () => ({ username: 'eve@example.test' })],
  [
    'AUTH that cannot be decided',
    75,
    /AUTH: 454 4\.7\.0/,
    ['bob@b.test'],
    () => ({}),
    { auth: reply(454, '4.7.0', 'Later') },
  ],
  ['nobody listening', 75, /^connect: /, ['bob@b.test'], () => ({ server: '127.0.0.1:1' })],
  ['a certificate of another CA', 75, /^TLS: /, ['bob@b.test'], () => ({ ca: at('other-ca.pem') })],
  ['a password file others may read', 78, /chmod 600/, ['bob@b.test'], () => ({ passwordFile: at('open') })],
  ['no password file', 78, /no such file/, ['bob@b.test'], () => ({ passwordFile: at('nothing') })],
  ['no [send] table', 78, /has no \[send\] table/, ['bob@b.test'], () => ({ config: at('no-send.toml') })],
  ['no configuration', 78, /none\.toml/, ['bob@b.test'], () => ({ config: at('none.toml') })],
]

for (const [what, status, message, args, options, given = {}, input = MESSAGE] of failures) {
  test(`${what}: status ${status}`, async () => {
    answers = given
    await assert.rejects(sent(args, options(), input), error => {
      assert.ok(error instanceof SendError, String(error))
      assert.equal(error.status, status, error.message)
      assert.match(error.message, message)
      return true
    })
  })
}
