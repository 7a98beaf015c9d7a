/** `npm start` as a person and as a program meet it. One folder, started again and again. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate as immediately } from 'node:timers/promises'
import { readMaildir } from '../../src/sandbox/maildir.ts'
import { areFree, portsFrom } from '../../src/sandbox/ports.ts'
import { Tail } from '../../src/sandbox/tail.ts'
import type { Client } from '../peers/client.ts'
import { curl } from '../peers/curl.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { freePort } from '../peers/port.ts'
import { run, start, temporaryFolder } from '../peers/program.ts'
import { pttCommand, type RunningSandbox, runSandbox } from '../peers/sandbox.ts'
import { smtplib } from '../peers/smtplib.ts'
import { swaks } from '../peers/swaks.ts'

const temporary = temporaryFolder('sandbox')
const folder = join(temporary.path, 'state')
const maildir = join(folder, 'internet')
after(() => temporary.remove())

const once = (...args: string[]) => run(...pttCommand('sandbox', '--folder', folder, '--once', ...args))

/** What must be the same at the next start: CA, password, DKIM keys. */
function identity(): string {
  const keys = readdirSync(join(folder, 'dkim')).filter(name => name.endsWith('.pem'))
  const files = ['hop/ca.pem', 'password', ...keys.map(name => `dkim/${name}`)]
  return files
    .map(name =>
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    )
    .join()
}

/** A process that has ended may stay in the table until its parent looks at it: state Z of proc(5). */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, 'latin1'))
}

let kept = ''

test('the first start makes everything, sends a message and ends with 0', async () => {
  const { code, output } = await once()
  assert.equal(code, 0, output)
  const hops = [...output.matchAll(/^ +\d+ ms +(\w+) +(\w+) +([0-9A-Z]{26})/gm)]
  assert.deepEqual(
    hops.map(([, service, event]) => `${service} ${event}`),
    ['submission accepted', 'signer signed', 'relay queued', 'relay delivered', 'internet delivered'],
  )
  assert.equal(new Set(hops.map(([, , , id]) => id)).size, 1)
  assert.match(output.trimEnd().split('\n').at(-1) ?? '', /^delivered to .*dkim=pass.* \d+ ms$/)
  const [message = { octets: Buffer.alloc(0) }] = readMaildir(maildir)
  assert.match(message.octets.toString(), /^Authentication-Results: mx\.internet\.test;\s+dkim=pass/m)
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')).pids, {})
  kept = identity()
})

test('the next start', { concurrency: false }, async t => {
  const sandbox = await runSandbox(folder)
  t.after(() => sandbox.stop())
  const file = sandbox.file()

  await t.test('has the same CA, password and DKIM keys', () => assert.equal(identity(), kept))

  await t.test('refuses another one in its folder', async () => {
    const { code, output } = await once()
    assert.equal(code, 1, output)
    assert.match(output, new RegExp(`already at work in ${folder} \\(process ${file.pids.sandbox}\\)`))
  })

  const clients: [Client, ...programs: string[]][] = [
    [swaks, 'swaks'],
    [curl, 'curl'],
    [smtplib, '/usr/bin/python3'],
    [nodemailer],
  ]
  for (const [client, ...programs] of clients) {
    await t.test(`takes a message from ${client.name}`, async t => {
      if (!need(t, ...programs)) return
      const { username, password, port, ca } = file.submission
      const before = readMaildir(maildir).length
      const subject = `Hello from ${client.name}`
      const message = `From: ${username}\r\nTo: bob@internet.test\r\nSubject: ${subject}\r\n\r\nHi\r\n`
      const sent = await client({
        ...{ port, username, password, ca, message },
        from: username,
        to: ['bob@internet.test'],
      })
      assert.equal(sent.code, 0, sent.output)
      const stored = (await awaitMessages(maildir, before + 1)).at(-1)
      assert.match(stored?.octets.toString() ?? '', new RegExp(`dkim=pass[^]*^Subject: ${subject}\r$`, 'm'))
    })
  }

  await t.test('prints commands that work when they are pasted', async t => {
    if (!need(t, 'swaks', 'curl')) return
    const commands = sandbox.output().match(/^ {2}(?:swaks|printf|echo) .*(?:\n {4}.*)*/gm) ?? []
    assert.equal(commands.length, 3)
    const before = readMaildir(maildir).length
    for (const command of commands) {
      const { code, output } = await run('sh', ['-c', command])
      assert.equal(code, 0, `${command}\n${output}`)
    }
    await awaitMessages(maildir, before + 3)
  })

  await t.test('starts a killed service again and says its new pid', async () => {
    for (const name of ['submission', 'signer', 'relay']) {
      const killed = sandbox.file().pids[name] ?? 0
      process.kill(killed, 'SIGKILL')
      const started = await nextPid(sandbox, name, killed)
      assert.ok(isAlive(started))
    }
    // The client of the first message is patient, as any mail program: a service may be a moment away.
    const { code, output } = await sendWithPatience(sandbox, 'carol@internet.test')
    assert.equal(code, 0, output)
  })

  await t.test('keeps in its spool what is not delivered yet', async () => {
    const deferred = Promise.withResolvers<void>()
    const tail = new Tail(join(folder, 'log/relay.log'), line => {
      if (/"event":"deferred".*greylist@internet\.test/.test(line)) deferred.resolve()
    })
    const { code, output } = await sendWithPatience(sandbox, 'greylist@internet.test')
    assert.equal(code, 0, output)
    await deferred.promise
    tail.close()
  })

  await t.test(
    'ends all its processes in good order when it is told to, by the terminal and by npm',
    async () => {
      const pids = Object.values(sandbox.file().pids)
      assert.equal(pids.length, 4)
      sandbox.program.process.kill('SIGINT')
      await sandbox.stop('SIGTERM')
      assert.equal(sandbox.program.process.exitCode, 0, sandbox.output())
      while (pids.some(isAlive)) await immediately()
      assert.deepEqual(sandbox.file().pids, {})
    },
  )
})

test('a start with other ports goes on with the spool; killed, it leaves nobody behind', async t => {
  const base = await freeBase()
  const delivered = readMaildir(maildir).length
  const sandbox = await runSandbox(folder, '--port-base', String(base))
  t.after(() => sandbox.stop('SIGKILL'))
  const { submission, signer, relay, internet, dns, pids } = sandbox.file()
  assert.deepEqual(
    [submission.port, signer.port, relay.port, internet.port, dns.port],
    [0, 1, 2, 3, 4].map(at => base + at),
  )
  assert.equal(identity(), kept)
  // The first message of this start, and the one that was kept.
  const messages = await awaitMessages(maildir, delivered + 2)
  assert.ok(messages.some(({ octets }) => octets.includes('Delivered-To: greylist@internet.test')))
  process.kill(pids.sandbox ?? 0, 'SIGKILL')
  // Its output ends when the last process that has it closes it, which is a moment before that one has ended.
  await sandbox.program.ended
  while (Object.values(pids).some(isAlive)) await immediately()
})

test('--fresh begins anew, also after a sandbox that was killed', async () => {
  const { code, output } = await once('--fresh')
  assert.equal(code, 0, output)
  assert.notEqual(identity(), kept)
  assert.equal(readMaildir(maildir).length, 1)
})

test('it ends with the npm that started it', async () => {
  const [program, words] = pttCommand('sandbox', '--folder', folder)
  const script = `${[program, ...words].map(word => `"${word}"`).join(' ')}; true`
  const shell = start('sh', ['-c', script], { env: { npm_lifecycle_event: 'start' } })
  await shell.said(/Ctrl-C ends it/)
  // Only the shell: what npm does when it is told to end.
  await shell.stop('SIGTERM')
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')).pids, {})
})

test('--fresh deletes nothing that is not a sandbox', async () => {
  const home = join(temporary.path, 'home')
  mkdirSync(home)
  writeFileSync(join(home, 'thesis.tex'), 'years of work')
  const { code, output } = await run(...pttCommand('sandbox', '--folder', home, '--fresh', '--once'))
  assert.equal(code, 1)
  assert.match(output, /is not a sandbox's folder/)
  assert.ok(existsSync(join(home, 'thesis.tex')))
})

test('a port that is taken is said so', async () => {
  const { port, close } = await occupied()
  const { code, output } = await once('--port-base', String(port))
  await close()
  assert.equal(code, 1)
  assert.match(output, new RegExp(`another program has one of the ports ${port} to`))
})

async function sendWithPatience(sandbox: RunningSandbox, recipient: string) {
  const command = pttCommand('send', '-c', sandbox.file().config, recipient)
  for (let attempt = 1; ; attempt++) {
    const sent = await run(...command, { input: 'Subject: Hello\n\nHello\n' })
    if (sent.code !== 75 || attempt === 20) return sent
  }
}

/** Resolves when sandbox.json has another pid for the service. */
async function nextPid(sandbox: RunningSandbox, name: string, killed: number): Promise<number> {
  const watcher = watch(folder)
  try {
    for (;;) {
      const changed = new Promise(resolve => watcher.once('change', resolve))
      const pid = sandbox.file().pids[name]
      if (pid !== undefined && pid !== killed) return pid
      await changed
    }
  } finally {
    watcher.close()
  }
}

async function freeBase(): Promise<number> {
  for (;;) {
    const base = await freePort()
    if (base < 65_000 && (await areFree(portsFrom(base)))) return base
  }
}

async function occupied(): Promise<{ port: number; close(): Promise<void> }> {
  const { createServer } = await import('node:net')
  const server = createServer()
  const port = await new Promise<number>(resolve =>
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    }),
  )
  return { port, close: () => new Promise(resolve => server.close(() => resolve())) }
}
