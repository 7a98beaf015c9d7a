/** The repository of users over every transport: fetched, changed, out of reach, broken. */

import assert from 'node:assert/strict'
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Directory } from '../../src/directory/directory.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { addUser } from '../../src/directory/users.ts'
import { cleanUp, started, temporary } from '../peers/git-follower.ts'
import { startGitHttp } from '../peers/git-http.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { startGitSsh } from '../peers/git-ssh.ts'
import { need, needRoot } from '../peers/need.ts'

const verifier = await makeVerifier('pencil', { iterations: 4096 })
const user = `password = "${formatVerifier(verifier)}"\n`

async function users(t: TestContext): Promise<GitRepository> {
  const repository = await makeGitRepository()
  cleanUp(t, () => repository.remove())
  await repository.commit({ 'example.com/users/alice.toml': user })
  return repository
}

/** One of git's configuration, as if the operator had it there, until the test ends. */
function setting(t: TestContext, key: string, value: string): void {
  const set = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: key, GIT_CONFIG_VALUE_0: value }
  cleanUp(t, () => {
    for (const name of Object.keys(set)) delete process.env[name]
  })
  Object.assign(process.env, set)
}

/** Whose certificates git trusts, until the test ends; `null`: nothing is said. */
function trust(t: TestContext, ca: string | null): void {
  const { GIT_SSL_CAINFO: before } = process.env
  const set = (value: string | null | undefined) => {
    if (value) process.env.GIT_SSL_CAINFO = value
    else delete process.env.GIT_SSL_CAINFO
  }
  cleanUp(t, () => set(before))
  set(ca)
}

/** The same story over each transport: the first commit, a commit while it runs, and a change by our own tool. */
async function story(t: TestContext, repository: GitRepository, url: string): Promise<void> {
  const seen: Directory[] = []
  const { follower, log } = await started(t, url, {
    intervalMs: 20,
    onChange: directory => seen.push(directory),
  })
  assert.equal(follower.current().user('alice')?.name, 'alice@example.com')
  assert.equal(follower.current().user('bob'), undefined)

  const second = await repository.commit({ 'example.com/users/bob.toml': user })
  await log.until('in force', second)
  assert.equal(follower.current().commit, second)
  assert.equal(follower.current().user('bob')?.name, 'bob@example.com')

  const options = { repository: url, branch: 'main', domain: 'example.com', temporary }
  const { commit } = await addUser(options, { name: 'carol', senders: ['sales'], verifier })
  await log.until('in force', commit)
  assert.equal(follower.current().user('carol')?.senders.includes('sales@example.com'), true)
  assert.deepEqual(
    seen.map(directory => directory.commit),
    [second, commit],
  )
  assert.equal(await repository.git('rev-parse', 'main'), commit)
}

for (const form of ['path', 'file URL'])
  test(`a repository on this machine, by ${form}`, async t => {
    if (!need(t, 'git')) return
    const repository = await users(t)
    await story(t, repository, form === 'path' ? repository.path : `file://${repository.path}`)
  })

test('a repository over smart HTTP', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const server = await startGitHttp(repository.path)
  cleanUp(t, () => server.stop())
  await story(t, repository, server.url)
  assert.ok(server.requests.some(request => request.includes('service=git-receive-pack')))
})

test('a repository over smart HTTP with a password, by a credential helper of git', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const server = await startGitHttp(repository.path, { credentials: 'ptt:open sesame' })
  cleanUp(t, () => server.stop())
  await assert.rejects(started(t, server.url), /set up a credential helper or ~\/\.netrc/)
  const helper = (password: string) => `!f() { echo username=ptt; echo password='${password}'; }; f`
  setting(t, 'credential.helper', helper('guess'))
  await assert.rejects(started(t, server.url), /Authentication failed/)
  setting(t, 'credential.helper', helper('open sesame'))
  await story(t, repository, server.url)
})

test('a repository over HTTPS; a certificate that is not trusted, or is for another host, is told', async t => {
  if (!need(t, 'git', 'openssl')) return
  const repository = await users(t)
  const server = await startGitHttp(repository.path, { tls: true })
  cleanUp(t, () => server.stop())
  const stranger = await startGitHttp(repository.path, { tls: true })
  cleanUp(t, () => stranger.stop())
  const untrusted = new RegExp(
    `no users can be read from ${server.url} .*server (certificate )?verification failed.*is not trusted: set GIT_SSL_CAINFO`,
  )
  await assert.rejects(started(t, server.url), untrusted)
  trust(t, stranger.ca)
  await assert.rejects(started(t, server.url), untrusted)
  trust(t, server.ca)
  await assert.rejects(
    started(t, server.url.replace('localhost', '127.0.0.1')),
    /does not match target host ?name '127\.0\.0\.1'.*is for another host/,
  )
  await story(t, repository, server.url)

  // The same by git's configuration.
  trust(t, null)
  setting(t, 'http.sslCAInfo', server.ca ?? '')
  const { follower } = await started(t, server.url)
  assert.equal(follower.current().commit, await repository.git('rev-parse', 'main'))
})

test('the host of a repository has another certificate: what is in force stays, and it is told', async t => {
  if (!need(t, 'git', 'openssl')) return
  const repository = await users(t)
  const server = await startGitHttp(repository.path, { tls: true })
  cleanUp(t, () => server.stop().catch(() => {}))
  const ca = join(temporary, 'ca.pem')
  copyFileSync(server.ca ?? '', ca)
  trust(t, ca)
  const { follower, log } = await started(t, server.url)
  await server.stop()
  const impostor = await startGitHttp(repository.path, { tls: true, port: server.port })
  cleanUp(t, () => impostor.stop())
  const good = follower.current().commit
  await repository.commit({ 'example.com/users/mallory.toml': user })
  for (let attempt = 0; attempt < 3; attempt++) await follower.refresh()
  assert.match(String(log.last().reason), /certificate/)
  assert.match(String(log.last().advice), /GIT_SSL_CAINFO/)
  assert.deepEqual(changes(log.states()), ['in force', 'unreachable'])
  assert.equal(follower.current().commit, good)
  assert.equal(follower.current().user('mallory'), undefined)
})

test('a repository over ssh; a key that is not let in, a host that is not known', async t => {
  if (!need(t, 'git', 'ssh', 'sshd', 'ssh-keygen')) return
  const repository = await users(t)
  const server = await startGitSsh()
  cleanUp(t, () => server.stop())
  cleanUp(t, () => delete process.env.GIT_SSH_COMMAND)
  const url = server.url(repository.path)
  process.env.GIT_SSH_COMMAND = server.strangerCommand
  await assert.rejects(started(t, url), /Permission denied.*does not take our ssh key/s)
  process.env.GIT_SSH_COMMAND = server.command.replace(
    /UserKnownHostsFile=\S+/,
    'UserKnownHostsFile=/dev/null',
  )
  await assert.rejects(started(t, url), /Host key verification failed.*known_hosts/s)
  process.env.GIT_SSH_COMMAND = server.command
  await story(t, repository, url)
})

/** Without repetitions. */
const changes = (states: readonly unknown[]) => states.filter((state, at) => state !== states[at - 1])

test('a remote that goes away and comes back', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  let server = await startGitHttp(repository.path)
  cleanUp(t, () => server.stop())
  const { follower, log, clone } = await started(t, server.url)
  await server.stop()

  await follower.refresh()
  await follower.refresh()
  // Told again when the reason changes: the first may be a connection that broke, and then none is to be had.
  assert.deepEqual(changes(log.states()), ['in force', 'unreachable'])
  assert.equal(log.told[1]?.level, 'error')
  assert.equal(log.told[1]?.in_force, first)
  assert.match(String(log.last().reason), /refused|connect/i)
  assert.equal(follower.current().commit, first)

  // A restart meanwhile.
  const again = await started(t, server.url, { clone })
  assert.deepEqual(again.log.states(), ['in force', 'unreachable'])
  assert.equal(again.follower.current().user('alice')?.name, 'alice@example.com')
  await again.follower.close()

  server = await startGitHttp(repository.path, { port: server.port })
  const second = await repository.commit({ 'example.com/users/bob.toml': user })
  await follower.refresh()
  assert.deepEqual(changes(log.states()), ['in force', 'unreachable', 'in force', 'reachable'])
  assert.equal(follower.current().commit, second)
})

test('a remote that takes the connection and says nothing', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const silent = await startGitHttp(repository.path, { silent: true })
  cleanUp(t, () => silent.stop())
  await assert.rejects(started(t, silent.url, { timeoutMs: 200 }), /took longer than 0\.2 s/)
  assert.equal(silent.requests.length, 1)

  // close() does not wait for it either.
  const { follower } = await started(t, repository.path)
  await follower.close()
  const slow = await startGitHttp(repository.path)
  const { follower: other } = await started(t, slow.url)
  await slow.stop()
  const mute = await startGitHttp(repository.path, { silent: true, port: slow.port })
  cleanUp(t, () => mute.stop())
  const refreshed = other.refresh()
  while (mute.requests.length === 0) await new Promise(resolve => setImmediate(resolve))
  await other.close()
  await refreshed
})

test('nothing to start from', async t => {
  if (!need(t, 'git')) return
  const missing = join(temporary, 'missing.git')
  await assert.rejects(started(t, missing), /no users can be read from .*missing\.git.*git init --bare/s)
  const empty = await makeGitRepository()
  cleanUp(t, () => empty.remove())
  await assert.rejects(
    started(t, empty.path),
    /the repository is empty; make its first commit with: ptt user add/,
  )
  await empty.commit({ 'example.com/users/alice.toml': user }, 'trunk')
  await assert.rejects(
    started(t, empty.path),
    /no branch main; push it, or set directory\.branch to one of: trunk/,
  )
  await empty.commit({ 'example.com/users/alice.toml': 'password = "hunter2"' })
  await assert.rejects(started(t, empty.path), (error: Error) => {
    assert.match(
      error.message,
      /commit [0-9a-f]{40} of .* is broken.*\nexample\.com\/users\/alice\.toml:1: password/s,
    )
    assert.doesNotMatch(error.message, /hunter2/)
    return true
  })
  await assert.rejects(started(t, 'http://git.example.com/users.git'), /: http is not supported/)
  await assert.rejects(started(t, 'ext::sh -c true'), /not a path or a file, https or ssh URL/)
  await assert.rejects(started(t, empty.path, { clone: empty.path }), /something else than a clone/)
})

test('a broken commit changes nothing, is told once, and heals', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  const { follower, log, clone } = await started(t, repository.path)
  const broken = await repository.commit({
    'example.com/users/bob.toml': `${user}senders = [\n  "bob@example.org",\n]\n`,
    'example.com/users/carol.toml': `${user}sendres = []\n`,
  })
  await follower.refresh()
  await follower.refresh()
  assert.equal(follower.current().commit, first)
  assert.deepEqual(
    log.told
      .slice(1)
      .map(({ level, state, commit, file, line, in_force }) => [level, state, commit, file, line, in_force]),
    [
      ['error', 'broken', broken, 'example.com/users/bob.toml', 3, first],
      ['error', 'broken', broken, 'example.com/users/carol.toml', 2, first],
    ],
  )
  assert.match(String(log.told[1]?.rule), /^senders: "bob@example.org" is outside example.com/)
  assert.match(String(log.told[2]?.rule), /^there is no key "sendres" here/)

  // At a restart it is the same commit that is in force.
  const again = await started(t, repository.path, { clone })
  assert.equal(again.follower.current().commit, first)
  assert.deepEqual(again.log.states(), ['in force', 'broken', 'broken'])
  await again.follower.close()

  const third = await repository.commit({
    'example.com/users/bob.toml': user,
    'example.com/users/carol.toml': user,
  })
  await follower.refresh()
  assert.equal(follower.current().commit, third)
  // Broken again, then taken back by force: what is in force stays, silently.
  await repository.commit({ 'example.com/users/alice.toml': 'x' })
  await follower.refresh()
  await repository.git('update-ref', 'refs/heads/main', third)
  await follower.refresh()
  assert.equal(follower.current().commit, third)
  assert.deepEqual(log.states(), ['in force', 'broken', 'broken', 'in force', 'broken'])
})

test('a damaged clone is made anew; with locks of a git that was killed it goes on', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const { follower, clone } = await started(t, repository.path)
  await follower.close()
  const { readdirSync, writeFileSync } = await import('node:fs')
  for (const entry of readdirSync(join(clone, 'refs'), { recursive: true, encoding: 'utf8' }))
    if (/seen$|good$/.test(entry)) writeFileSync(join(clone, 'refs', `${entry}.lock`), '')
  writeFileSync(join(clone, 'config.lock'), '')
  const second = await repository.commit({ 'example.com/users/bob.toml': user })
  const unlocked = await started(t, repository.path, { clone })
  assert.equal(unlocked.follower.current().commit, second)
  await unlocked.follower.close()

  rmSync(join(clone, 'objects'), { recursive: true })
  const renewed = await started(t, repository.path, { clone })
  assert.equal(renewed.follower.current().commit, second)
  assert.deepEqual(
    readdirSync(temporary).filter(name => name.startsWith('.clone')),
    [],
  )
})

test('another repository, or another branch, is not answered for by the clone of the first', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const { follower, clone } = await started(t, repository.path)
  await follower.close()
  await assert.rejects(started(t, join(temporary, 'other.git'), { clone }), /no earlier copy/)
  await assert.rejects(started(t, repository.path, { clone, branch: 'other' }), /no branch other/)
})

test('a repository with SHA-256 names', async t => {
  if (!need(t, 'git')) return
  const repository = await makeGitRepository({ format: 'sha256' })
  cleanUp(t, () => repository.remove())
  const first = await repository.commit({ 'example.com/users/alice.toml': user })
  assert.equal(first.length, 64)
  const { follower } = await started(t, repository.path)
  assert.equal(follower.current().commit, first)
  const options = { repository: repository.path, branch: 'main', domain: 'example.com', temporary }
  const { commit } = await addUser(options, { name: 'bob', senders: [], verifier })
  await follower.refresh()
  assert.equal(follower.current().commit, commit)
})

test('a repository of another user of this machine is told', async t => {
  if (!need(t, 'git')) return
  if (!needRoot(t, 'give a folder away')) return
  const repository = await users(t)
  const { chownSync, readdirSync } = await import('node:fs')
  chownSync(repository.path, 65534, 65534)
  for (const entry of readdirSync(repository.path, { recursive: true, encoding: 'utf8' }))
    chownSync(join(repository.path, entry), 65534, 65534)
  await assert.rejects(
    started(t, repository.path),
    /git config --global --add safe\.directory \/.*users\.git/,
  )
})

test('the polling timer is a plain one, and unreferenced', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { follower, log } = await started(t, repository.path, { intervalMs: 30_000 })
  const second = await repository.commit({ 'example.com/users/bob.toml': user })
  t.mock.timers.tick(29_999)
  assert.deepEqual(log.states(), ['in force'])
  t.mock.timers.tick(1)
  await log.until('in force', second)
  assert.equal(follower.current().commit, second)
})

test('ten thousand users', async t => {
  if (!need(t, 'git')) return
  const repository = await makeGitRepository()
  cleanUp(t, () => repository.remove())
  const names = Array.from({ length: 10_000 }, (_, index) => `user${index}`)
  await repository.commit(Object.fromEntries(names.map(name => [`example.com/users/${name}.toml`, user])))
  const before = performance.now()
  const { follower } = await started(t, repository.path)
  t.diagnostic(`first clone and reading: ${Math.round(performance.now() - before)} ms`)
  for (const name of names) assert.equal(follower.current().user(name)?.localPart, name)
})
