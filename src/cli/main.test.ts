import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { need } from '../../test/peers/need.ts'
import { loadConfig } from '../config/load.ts'
import { readRepository } from '../directory/edit.ts'
import { verifyPassword } from '../directory/password.ts'
import { version } from './version.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-main-'))
after(() => rmSync(folder, { recursive: true }))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(script: string, args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn(process.execPath, [script, ...args], { cwd: folder, stdio: 'pipe' })
  // A command that reads nothing may end before this is written.
  child.stdin.on('error', () => {}).end(input)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code, stdout, stderr }
}

function ptt(args: readonly string[], input?: string): Promise<Outcome> {
  return run(join(import.meta.dirname, 'main.ts'), args, input)
}

test('without a command it tells which there are', async () => {
  const { code, stderr } = await ptt([])
  assert.equal(code, 1)
  const names = [
    'sandbox',
    'init',
    'config',
    'up',
    'submission|lipap',
    'signer|nec',
    'relay|mti-gf',
    'user',
    'queue',
    'send',
  ]
  for (const name of names) assert.ok(stderr.includes(`\n  ${name} `), `${name} in ${stderr}`)
  assert.deepEqual(await ptt(['--help']), { code: 0, stdout: stderr, stderr: '' })
})

for (const name of [
  'sandbox',
  'init',
  'config',
  'config check',
  'up',
  'submission',
  'nec',
  'relay',
  'user add',
  'queue',
  'send',
  'version',
]) {
  test(`ptt ${name} --help`, async () => {
    const { code, stdout, stderr } = await ptt([...name.split(' '), '--help'])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^Usage: ptt /)
    assert.match(stdout, /\n *Examples?:\n/)
  })
}

const outcomes: [args: string[], code: number, stdout: RegExp, stderr: RegExp][] = [
  [['version'], 0, new RegExp(`^ptt ${version()} \\(Node v24\\..*\\)\\n$`), /^$/],
  [['--version'], 0, new RegExp(`^${version()}\\n$`), /^$/],
  [['sigmer'], 1, /^$/, /unknown command 'sigmer'\n\(Did you mean signer\?\)/],
  [['relay', '--no-such-option'], 1, /^$/, /unknown option '--no-such-option'/],
  [['relay'], 1, /^$/, /^ptt\.toml: there is no such file: make one with `ptt init`\n$/],
  [['up', '-c', 'x.toml'], 1, /^$/, /^x\.toml: there is no such file: make one with `ptt init`\n$/],
  [['config', 'check', 'rellay'], 1, /^$/, /Allowed choices are submission, signer, relay/],
  [['init'], 1, /^$/, /^ptt init: for which domain\? Say --domain example\.com\n$/],
  [['init', '--domain', 'a b'], 1, /^$/, /^ptt\.toml:\d+: domain: "a b" is not a domain name: write/],
  [
    ['init', '--domain', 'example.com', '--generate-password'],
    1,
    /^$/,
    /a password for whom\? Say --user too/,
  ],
  [['init', '--renew-hops'], 1, /^$/, /^ptt\.toml: there is no such file/],
]
for (const [args, code, stdout, stderr] of outcomes) {
  test(`ptt ${args.join(' ')}`, async () => {
    const outcome = await ptt(args)
    assert.match(outcome.stderr, stderr)
    assert.match(outcome.stdout, stdout)
    assert.equal(outcome.code, code)
  })
}

test('all that is wrong with ptt.toml is told, a line each', async () => {
  const file = join(folder, 'wrong.toml')
  writeFileSync(file, 'domain = 1\n[relay]\nlisen = "x"\nsmtp_port = "25"\n')
  for (const args of [['config', 'check'], ['relay'], ['up'], ['signer']]) {
    const { code, stdout, stderr } = await ptt([...args, '-c', 'wrong.toml'])
    assert.deepEqual([code, stdout], [1, ''])
    assert.deepEqual(stderr.split('\n'), [
      'wrong.toml:1: domain: 1 is not a domain name: write a name such as "example.com"',
      'wrong.toml:3: relay.lisen: there is no such key: did you mean "listen"?',
      'wrong.toml:4: relay.smtp_port: "25" is not possible here: write a whole number from 1 to 65535',
      '',
    ])
  }
})

test('a folder is no ptt.toml, and what is not written has no line', async () => {
  mkdirSync(join(folder, 'etc'))
  writeFileSync(join(folder, 'etc/ptt.toml'), '')
  for (const command of [['config', 'check'], ['up'], ['user', 'list']]) {
    assert.deepEqual(await ptt([...command, '-c', 'etc']), {
      code: 1,
      stdout: '',
      stderr: 'etc: is a folder: write the path of the file in it, etc/ptt.toml\n',
    })
  }
  const { stderr } = await ptt(['config', 'check', '-c', 'etc/ptt.toml'])
  assert.equal(stderr, 'etc/ptt.toml: domain: is missing: write a name such as "example.com"\n')
})

test('init, config check, renew', async t => {
  if (!need(t, 'git')) return
  const made = await ptt(
    ['init', '--dir', 'one', '--domain', 'example.com', '--user', 'alice'],
    'open sesame\n',
  )
  assert.deepEqual([made.code, made.stderr], [0, ''])
  assert.match(made.stdout, /^The deployment of example\.com is in .*\/one\.\n/)
  assert.doesNotMatch(made.stdout, /open sesame/)
  const { directory, domain } = loadConfig(join(folder, 'one/ptt.toml'))
  const users = await readRepository({ ...directory, domain, temporary: folder })
  assert.equal(await verifyPassword(users.user('alice')?.verifier ?? null, 'open sesame'), true)

  const check = ['config', 'check', '-c', 'one/ptt.toml']
  assert.deepEqual(await ptt(check), { code: 0, stdout: 'one/ptt.toml: no problems\n', stderr: '' })
  rmSync(join(folder, 'one/hop/signer.pem'))
  const { code, stdout, stderr } = await ptt(check)
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^one\/ptt\.toml:\d+: signer\.hop_certificate: .*: there is no such file.*\n$/)
  const renewed = await ptt(['init', '--dir', 'one', '--renew-hops'])
  assert.match(renewed.stdout, /^one\/hop\/signer\.pem$/m)
  assert.equal((await ptt(check)).code, 0)

  const again = await ptt(['init', '--dir', 'one', '--domain', 'example.com', '--user', 'alice'], 'x\n')
  assert.deepEqual(again, {
    code: 1,
    stdout: '',
    stderr: 'ptt init: nothing was made, as this is there already: one/ptt.toml\n',
  })
})

test('init makes a password and tells it once', async t => {
  if (!need(t, 'git')) return
  const { stdout } = await ptt([
    'init',
    '-d',
    'two',
    '--domain',
    'example.com',
    '--user',
    'bob',
    '--generate-password',
  ])
  const [, password = ''] =
    /^The password of bob@example\.com, shown this once: (\S{20})$/m.exec(stdout) ?? []
  const { directory, domain } = loadConfig(join(folder, 'two/ptt.toml'))
  const users = await readRepository({ ...directory, domain, temporary: folder })
  assert.equal(await verifyPassword(users.user('bob')?.verifier ?? null, password), true)
})

test('init without a password makes nothing', async () => {
  const { code, stderr } = await ptt(['init', '-d', 'three', '--domain', 'example.com', '--user', 'alice'])
  assert.deepEqual([code, stderr], [1, 'ptt init: no password on standard input\n'])
  assert.equal(existsSync(join(folder, 'three')), false)
})

test('bin/ptt.js is the same program', async () => {
  const bin = join(import.meta.dirname, '../../bin/ptt.js')
  assert.deepEqual(await run(bin, ['version']), await ptt(['version']))
  assert.equal((await run(bin, ['relay'])).code, 1)
})
