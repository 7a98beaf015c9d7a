/** Changes to the repository: by our functions, and by `ptt user` on a pipe and on a terminal. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { addAlias } from '../../src/directory/aliases.ts'
import { type EditOptions, edit, readRepository } from '../../src/directory/edit.ts'
import { addMembers } from '../../src/directory/groups.ts'
import { formatVerifier, makeVerifier, verifyPassword } from '../../src/directory/password.ts'
import { addUser, removeUser, setPassword } from '../../src/directory/users.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { sshSigner, writeSigners } from '../peers/git-signer.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-edit-'))
after(() => rmSync(folder, { recursive: true, force: true }))
// Nobody told git who we are, except where a test does.
process.env.GIT_CONFIG_GLOBAL = join(folder, 'gitconfig')
process.env.GIT_CONFIG_NOSYSTEM = '1'
for (const name of ['AUTHOR', 'COMMITTER'])
  for (const what of ['NAME', 'EMAIL']) delete process.env[`GIT_${name}_${what}`]

const pencil = await makeVerifier('pencil', { iterations: 4096 })
const eraser = await makeVerifier('eraser', { iterations: 4096 })
const hash = formatVerifier(pencil)
const legacy = createHash('blake2b512').update('pencil').digest('hex')

async function users(
  t: TestContext,
  files: Record<string, string> = { 'example.com/users/alice.toml': `password = "${hash}"\n` },
): Promise<{ repository: GitRepository; options: EditOptions }> {
  const repository = await makeGitRepository()
  t.after(() => repository.remove())
  if (Object.keys(files).length > 0) await repository.commit(files)
  const temporary = mkdtempSync(join(folder, 'temporary-'))
  t.after(() => assert.deepEqual(readdirSync(temporary), [], 'nothing is left behind'))
  return {
    repository,
    options: { repository: repository.path, branch: 'main', domain: 'example.com', temporary },
  }
}

test('the first user makes the first commit', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t, {})
  await assert.rejects(readRepository(options), /is empty: make its first commit/)
  const done = await addUser(options, {
    name: 'Alice',
    senders: ['sales', '*@news.example.com'],
    verifier: pencil,
  })
  assert.deepEqual(
    { ...done, commit: '' },
    { user: 'alice@example.com', path: 'example.com/users/alice.toml', commit: '' },
  )
  assert.equal(
    await repository.git('show', 'main:example.com/users/alice.toml'),
    `# alice@example.com\npassword = "${hash}"\nsenders = ["sales", "*@news.example.com"]`,
  )
  assert.equal(
    await repository.git('log', '--format=%H %an <%ae> %cn <%ce> %s', 'main'),
    `${done.commit} ptt <postmaster@example.com> ptt <postmaster@example.com> users: Add alice@example.com`,
  )
})

test('the author is whom git knows', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t)
  writeFileSync(join(folder, 'gitconfig'), '[user]\n\tname = Dora\n\temail = dora@example.com\n')
  t.after(() => rmSync(join(folder, 'gitconfig')))
  await addUser(options, { name: 'bob', senders: [], verifier: pencil })
  assert.equal(await repository.git('log', '-1', '--format=%an <%ae>', 'main'), 'Dora <dora@example.com>')
})

test('what cannot be added', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t, {
    'example.com/users/alice.toml': `password = "${hash}"\n`,
    'example.com/aliases.toml': 'sales = ["alice"]\n',
    'example.org/domain.toml': '',
    carol: JSON.stringify({ targets: [], password: legacy }),
  })
  const add = (name: string, ...senders: string[]) => addUser(options, { name, senders, verifier: pencil })
  const before = await repository.git('rev-parse', 'main')
  await assert.rejects(
    add('alice'),
    /alice@example\.com is there already \(example\.com\/users\/alice\.toml\)/,
  )
  await assert.rejects(add('ALICE@Example.com'), /is there already/)
  await assert.rejects(add('carol'), /carol@example\.com is there already \(carol\)/)
  await assert.rejects(
    add('sales'),
    /nothing was changed.*\n.*sales@example\.com is already in example\.com\/aliases\.toml:1/,
  )
  await assert.rejects(
    add('bob@example.net'),
    /example\.net is not a domain of this repository: ptt domain add example\.net/,
  )
  await assert.rejects(
    add('bob', 'bob@example.org'),
    /^EditError: senders: "bob@example\.org" is outside example\.com/,
  )
  for (const name of ['', '@', 'a@b@c d', 'a/b', 'bob@', 'b\nob'])
    await assert.rejects(add(name), /is not a name|cannot be the name of a file/, name)
  for (const name of ['bo b', '"bo b"@example.com', '.bob', 'b..ob', 'bob.', 'b,ob', 'b"ob'])
    await assert.rejects(
      add(name),
      /needs quotes in an address \(".*"@example\.com\), .* \(RFC 5321 §4\.1\.2\)/,
      name,
    )
  await assert.rejects(addMembers(options, 'the team', ['alice']), /"the team" needs quotes/)
  await assert.rejects(addAlias(options, 'help desk', ['alice']), /"help desk" needs quotes/)
  assert.equal(await repository.git('rev-parse', 'main'), before)
  assert.equal((await add('bob@example.org')).path, 'example.org/users/bob.toml')
  assert.equal((await add('carol@example.org')).path, 'example.org/users/carol.toml')
})

test('a new password leaves the rest of the file as it is', async t => {
  if (!need(t, 'git')) return
  const text = (verifier: string) =>
    `# password = "none"\nsenders = ["sales"] # since May\npassword = "${verifier}" # old\n# the end\n`
  const { repository, options } = await users(t, { 'example.com/users/alice.toml': text(hash) })
  await setPassword(options, 'alice', eraser)
  const now = await repository.git('show', 'main:example.com/users/alice.toml')
  assert.equal(now, text(formatVerifier(eraser)).trimEnd())
  const alice = (await readRepository(options)).user('alice')
  assert.ok(alice)
  assert.equal(await verifyPassword(alice.verifier, 'eraser'), true)
  assert.equal(await verifyPassword(alice.verifier, 'pencil'), false)
  await assert.rejects(setPassword(options, 'bob', eraser), /there is no user bob@example\.com/)
})

test('a password over several lines is replaced whole; with a comment within it is left to people', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t, {
    'example.com/users/alice.toml': `password = """\\\n  ${hash}"""\ntargets = []\n`,
    'example.com/users/bob.toml': `password = [\n  "${hash}", # mine\n]\n`,
  })
  await setPassword(options, 'alice', eraser)
  assert.equal(
    await repository.git('show', 'main:example.com/users/alice.toml'),
    `password = "${formatVerifier(eraser)}"\ntargets = []`,
  )
  await assert.rejects(setPassword(options, 'bob', eraser), /comment within: change it there by hand/)
})

test('a user of the original layout moves with the new password', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t, {
    alice: JSON.stringify({ targets: ['alice@home.example'], password: legacy, insecure: false }),
  })
  const done = await setPassword(options, 'alice', eraser)
  assert.equal(done.path, 'example.com/users/alice.toml')
  assert.equal(await repository.git('ls-tree', '-r', '--name-only', 'main'), 'example.com/users/alice.toml')
  const alice = (await readRepository(options)).user('alice')
  assert.deepEqual(alice?.targets, [{ localPart: 'alice', domain: 'home.example' }])
  assert.equal(alice?.verifier.scheme, 'SCRAM-SHA-256')
})

test('a user is removed, from either layout; the last one too', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t, {
    'example.com/users/alice.toml': `password = "${hash}"\n`,
    bob: JSON.stringify({ targets: [], password: legacy }),
  })
  await removeUser(options, 'alice@example.com')
  await removeUser(options, 'bob')
  assert.equal(await repository.git('ls-tree', '-r', 'main'), '')
  assert.equal((await readRepository(options)).users.size, 0)
  await assert.rejects(removeUser(options, 'bob'), /there is no user bob/)
})

test('a push of somebody else in between: once more on what is there now', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t)
  const file = `password = "${hash}"\n`
  // The other push is made by a hook, at the worst moment: after our fetch, before our push is taken.
  const hook = join(repository.path, 'hooks', 'pre-receive')
  const overtake = (times: number) => {
    const other = join(repository.path, 'other')
    rmSync(other, { recursive: true, force: true })
    mkdirSync(other)
    writeFileSync(
      hook,
      [
        '#!/bin/sh -e',
        `n=$(ls ${other} | wc -l)`,
        `[ $n -lt ${times} ] || exit 0`,
        `touch ${other}/$n`,
        'unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES',
        'export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x',
        'git update-ref refs/heads/main $(git commit-tree -p main -m other$n main^{tree})',
        '',
      ].join('\n'),
    )
    chmodSync(hook, 0o755)
  }
  mkdirSync(join(repository.path, 'hooks'), { recursive: true })
  overtake(1)
  let asked = 0
  await edit(options, 'users: Add carol', files => {
    asked++
    assert.equal(files.has('example.com/users/alice.toml'), true)
    return [['example.com/users/carol.toml', file]]
  })
  assert.equal(asked, 2)
  assert.equal(await repository.git('log', '--format=%s', 'main'), 'users: Add carol\nother0\ntest')
  overtake(20)
  await assert.rejects(
    edit(options, 'users: Add dora', () => [['example.com/users/dora.toml', file]]),
    /others push at the same moment: nothing was changed/,
  )
  assert.equal(await repository.git('log', '-1', '--format=%s', 'main'), 'other19')
})

test('what a hook of the repository refuses, and where nothing can be pushed', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t)
  mkdirSync(join(repository.path, 'hooks'), { recursive: true })
  const hook = join(repository.path, 'hooks', 'pre-receive')
  writeFileSync(hook, '#!/bin/sh\necho "two reviewers are needed"\nexit 1\n')
  chmodSync(hook, 0o755)
  await assert.rejects(removeUser(options, 'alice'), /was not pushed: .*two reviewers are needed/)

  const copy = join(folder, 'copy')
  await run('git', ['clone', '-q', repository.path, copy])
  await assert.rejects(
    removeUser({ ...options, repository: copy }, 'alice'),
    /use a bare one: git clone --bare/,
  )
  await assert.rejects(
    removeUser({ ...options, repository: join(folder, 'none') }, 'alice'),
    /git init --bare/,
  )
  await assert.rejects(removeUser({ ...options, branch: 'other' }, 'alice'), /no branch other/)
  await assert.rejects(removeUser({ ...options, branch: '-x' }, 'alice'), /not the name of a branch/)
})

test('a broken repository is repaired first, unless the change is the repair', async t => {
  if (!need(t, 'git')) return
  const { options } = await users(t, {
    'example.com/users/alice.toml': `password = "${hash}"\n`,
    'example.com/users/bob.toml': 'password = "hunter2"\n',
    'example.com/users/carol.toml': 'x',
  })
  const broken =
    /the repository is broken already: repair this first:\n(.*\n)?example\.com\/users\/carol\.toml:1/
  await assert.rejects(addUser(options, { name: 'dora', senders: [], verifier: pencil }), broken)
  await assert.rejects(readRepository(options), /bob\.toml:1: password/)
  await assert.rejects(removeUser(options, 'carol'), /bob\.toml:1: password/)
  await assert.rejects(setPassword(options, 'bob', eraser), broken)
  const { options: one } = await users(t, { 'example.com/users/bob.toml': 'password = "hunter2"\n' })
  await setPassword(one, 'bob', eraser)
  assert.equal((await readRepository(one)).users.size, 1)
})

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

/** A deployment's folder with its ptt.toml, for `ptt` itself. */
function deployment(
  repository: GitRepository,
): (args: readonly string[], input?: string) => ReturnType<typeof run> {
  const cwd = mkdtempSync(join(folder, 'deployment-'))
  writeFileSync(
    join(cwd, 'ptt.toml'),
    `domain = "example.com"\n[directory]\nrepository = "${repository.path}"\n`,
  )
  return (args, input = '') => run(process.execPath, [MAIN, 'user', ...args], { cwd, input })
}

test('ptt user: add, list, passwd, remove', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await users(t, {
    bob: JSON.stringify({ targets: ['b@home.example'], password: legacy }),
  })
  const ptt = deployment(repository)
  const added = await ptt(['add', 'alice', '--sender', 'sales', '*@news.example.com'], 'correct horse\n')
  assert.match(
    added.output,
    /^alice@example\.com added: example\.com\/users\/alice\.toml, commit [0-9a-f]{12} in /,
  )
  assert.equal(added.code, 0)
  const alice = (await readRepository(options)).user('alice')
  assert.equal(await verifyPassword(alice?.verifier ?? null, 'correct horse'), true)
  assert.equal(
    (await ptt(['list'])).output,
    [
      'USER               STATE   PASSWORD              MAY ALSO SEND AS                      TARGETS',
      'alice@example.com  active  SCRAM-SHA-256, 15000  sales@example.com *@news.example.com  -',
      'bob@example.com    active  BLAKE2B-512, weak     -                                     b@home.example',
      '',
    ].join('\n'),
  )
  assert.match(
    (await ptt(['passwd', 'bob'], 'battery staple')).output,
    /^the password of bob@example\.com is changed/,
  )
  assert.match((await ptt(['remove', 'alice'])).output, /^alice@example\.com removed: /)
  assert.deepEqual([...(await readRepository(options)).users.keys()], ['bob@example.com'])

  const failures: [args: string[], input: string, says: RegExp][] = [
    [['add', 'carol'], '', /^ptt user: no password on standard input\n$/],
    [['add', 'carol'], 'one\ntwo\n', /^ptt user: standard input has more than the one line/],
    [['add', 'carol'], 'bell\u0007\n', /^ptt user: not usable as a password/],
    [['add', 'bob'], 'pencil', /^ptt user: bob@example\.com is there already/],
    [['remove', 'carol'], '', /^ptt user: there is no user carol@example\.com/],
    [
      ['add', 'carol', '-c', '/nonexistent/ptt.toml'],
      'pencil',
      /\/nonexistent\/ptt\.toml: there is no such file/,
    ],
    [['add', 'carol', 'secret'], '', /too many arguments/],
  ]
  for (const [args, input, says] of failures) {
    const { code, output } = await ptt(args, input)
    assert.match(output, says)
    assert.equal(code, 1, output)
  }
  for (const command of ['add', 'list', 'passwd', 'remove'])
    assert.match((await ptt([command, '--help'])).output, /\n *Examples?:\n {2}ptt user /)
})

/** `ptt user add carol` on a pseudo-terminal; each answer is typed when its question is there. */
async function onTerminal(
  t: TestContext,
  cwd: string,
  dialog: [question: RegExp, answer: string][],
): Promise<string> {
  const command = `'${process.execPath}' '${MAIN}' user add carol`
  const child = spawn('script', ['-qefc', command, '/dev/null'], { cwd, stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  let seen = ''
  let from = 0
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    seen += chunk
    const [question, answer] = dialog[0] ?? []
    const match = question && seen.slice(from).search(question)
    if (match === undefined || match < 0 || answer === undefined) continue
    from = seen.length
    dialog.shift()
    child.stdin.write(answer)
  }
  return seen
}

test('ptt user on a terminal asks twice and shows nothing of it', async t => {
  if (!need(t, 'git', 'script')) return
  const { repository, options } = await users(t)
  const cwd = mkdtempSync(join(folder, 'terminal-'))
  writeFileSync(
    join(cwd, 'ptt.toml'),
    `domain = "example.com"\n[directory]\nrepository = "${repository.path}"\n`,
  )
  const stopped = await onTerminal(t, cwd, [[/New password for carol: /, 'half a pass\u0003']])
  assert.match(stopped, /stopped, nothing changed/)
  const seen = await onTerminal(t, cwd, [
    [/New password for carol: /, 'first\r'],
    [/Once more: /, 'second\r'],
    [/They differ.*New password for carol: /s, 'corect\u007f\u007f\u007frect horse\r'],
    [/Once more: /, 'correct horse\r'],
  ])
  assert.match(seen, /carol@example\.com added/)
  assert.doesNotMatch(seen + stopped, /first|second|horse|half/)
  const carol = (await readRepository(options)).user('carol')
  assert.equal(await verifyPassword(carol?.verifier ?? null, 'correct horse'), true)
})

test('where signatures are asked for, ours is signed; or nothing is pushed', async t => {
  if (!need(t, 'git', 'ssh-keygen')) return
  const { repository, options } = await users(t)
  const [dora, stranger] = [await sshSigner('dora@example.com'), await sshSigner('eve@example.com')]
  t.after(() => [dora, stranger].forEach(signer => void signer.remove()))
  const allowedSigners = writeSigners(join(folder, 'allowed_signers'), dora.line)
  const signed = { ...options, require: 'signed', allowedSigners } as const
  const before = await repository.git('rev-parse', 'main')
  const add = () => addUser(signed, { name: 'bob', senders: [], verifier: pencil })
  await assert.rejects(add(), /the commit cannot be signed: .*; tell git with whose key: user\.signingKey/s)
  const as = (signer: typeof dora) => {
    const [, key] = signer.settings[1]?.split('=') ?? []
    writeFileSync(
      join(folder, 'gitconfig'),
      `[user]\n\tname = Dora\n\temail = dora@example.com\n\tsigningKey = ${key}\n[gpg]\n\tformat = ssh\n`,
    )
  }
  t.after(() => rmSync(join(folder, 'gitconfig'), { force: true }))
  as(stranger)
  await assert.rejects(add(), /the services would refuse the commit: nobody who may has signed it/)
  assert.equal(await repository.git('rev-parse', 'main'), before)
  as(dora)
  const { commit } = await add()
  assert.match(await repository.git('cat-file', 'commit', commit), /\ngpgsig -----BEGIN SSH SIGNATURE-----\n/)
})
