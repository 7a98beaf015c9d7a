/** `[directory] require`: histories that were rewritten, commits that nobody or a stranger has signed. */

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Clone } from '../../src/directory/clone.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { parseRemote } from '../../src/directory/remote.ts'
import { cleanUp, type Listener, started, temporary } from '../peers/git-follower.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { gpgSigner, sshSigner, writeSigners } from '../peers/git-signer.ts'
import { need } from '../peers/need.ts'

const password = `password = "${formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))}"\n`
const user = (name: string) => ({ [`example.com/users/${name}.toml`]: password })

async function empty(t: TestContext): Promise<GitRepository> {
  const repository = await makeGitRepository()
  cleanUp(t, () => repository.remove())
  return repository
}

async function users(t: TestContext): Promise<GitRepository> {
  const repository = await empty(t)
  await repository.commit(user('alice'))
  return repository
}

/** What stands in a log line about a refusal. */
const refusals = (log: Listener) =>
  log.told
    .filter(({ state }) => state === 'refused')
    .map(({ level, rule, commit, in_force }) => [level, rule, commit, in_force])

test('a rewritten history is refused, told once, also over a restart; what descends from the last heals', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  const second = await repository.commit(user('bob'))
  const { follower, log, clone } = await started(t, repository.path)

  // Back to an old commit: carol's revocation would be undone like this.
  await repository.git('update-ref', 'refs/heads/main', first)
  await follower.refresh()
  await follower.refresh()
  assert.equal(follower.current().commit, second)
  assert.deepEqual(refusals(log), [['error', 'fast-forward', first, second]])
  assert.match(String(log.last().reason), new RegExp(`rewritten: it does not descend from ${second}`))
  assert.match(String(log.last().advice), new RegExp(`ptt directory accept ${first}$`))

  // Another history altogether, and something on top of it.
  await repository.git('update-ref', '-d', 'refs/heads/main')
  const other = await repository.commit(user('dora'))
  await follower.refresh()
  const onTop = await repository.commit(user('erin'))
  await follower.refresh()
  assert.equal(follower.current().commit, second)
  const expected = [first, other, onTop].map(commit => ['error', 'fast-forward', commit, second])
  assert.deepEqual(refusals(log), expected)
  await follower.close()

  const again = await started(t, repository.path, { clone })
  assert.equal(again.follower.current().commit, second)
  assert.deepEqual(refusals(again.log), [['error', 'fast-forward', onTop, second]])

  await repository.git('update-ref', 'refs/heads/main', second)
  const third = await repository.commit(user('carol'))
  await again.follower.refresh()
  assert.equal(again.follower.current().commit, third)
  assert.deepEqual(again.log.states(), ['in force', 'refused', 'in force'])
})

test('a rewritten history that the operator accepts, once', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  const { follower, log, clone } = await started(t, repository.path)
  await repository.git('update-ref', '-d', 'refs/heads/main')
  const other = await repository.commit(user('dora'))
  await follower.refresh()
  assert.equal(follower.current().commit, first)

  const theirs = await Clone.open(clone, { remote: parseRemote(repository.path), branch: 'main' })
  await theirs.references.accept(other)
  await follower.refresh()
  assert.equal(follower.current().commit, other)
  assert.deepEqual([log.last().state, log.last().rewritten], ['in force', true])

  const next = await repository.commit(user('erin'))
  await follower.refresh()
  await repository.git('update-ref', 'refs/heads/main', other)
  await follower.refresh()
  assert.equal(follower.current().commit, next)
  assert.deepEqual(log.states(), ['in force', 'refused', 'in force', 'in force', 'refused'])
})

test('a merge moves forward; a branch that left out what is in force does not', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  await repository.git('update-ref', 'refs/heads/side', 'refs/heads/main')
  const main = await repository.commit(user('bob'))
  const side = await repository.commit(user('carol'), 'side')
  const { follower, log } = await started(t, repository.path)
  await repository.git('update-ref', 'refs/heads/main', side)
  await follower.refresh()
  assert.equal(follower.current().commit, main)
  const tree = await repository.git('merge-tree', '--write-tree', main, side)
  const merge = await repository.git('commit-tree', '-p', main, '-p', side, '-m', 'merge', tree)
  await repository.git('update-ref', 'refs/heads/main', merge)
  await follower.refresh()
  assert.equal(follower.current().commit, merge)
  for (const name of ['alice', 'bob', 'carol']) assert.ok(follower.current().user(name), name)
  assert.deepEqual(log.states(), ['in force', 'refused', 'in force'])
})

test('a damaged clone is no way around: cloned anew, it still knows what was in force', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  const { follower, clone } = await started(t, repository.path)
  await follower.close()
  await repository.git('update-ref', '-d', 'refs/heads/main')
  await repository.commit(user('dora'))
  rmSync(join(clone, 'objects'), { recursive: true })
  await assert.rejects(
    started(t, repository.path, { clone }),
    new RegExp(`the clone is damaged, and the repository does not have ${first}.*; .*delete ${clone}`),
  )
  // The history of before is back: nothing is missing.
  await repository.git('update-ref', 'refs/heads/main', first)
  const again = await started(t, repository.path, { clone })
  assert.equal(again.follower.current().commit, first)
  assert.deepEqual(again.log.states(), ['in force'])
})

test('signed with ssh: by whom the file names, when it names him', async t => {
  if (!need(t, 'git', 'ssh-keygen')) return
  const repository = await empty(t)
  const [dora, stranger] = [await sshSigner('dora@example.com'), await sshSigner('eve@example.com')]
  cleanUp(t, () => [dora, stranger].forEach(signer => void signer.remove()))
  const allowedSigners = writeSigners(join(temporary, 'allowed_signers'), dora.line)
  const options = { require: 'signed', allowedSigners } as const

  const unsigned = await repository.commit(user('alice'))
  await assert.rejects(
    started(t, repository.path, options),
    new RegExp(
      `commit ${unsigned} .* is refused, and there is no earlier one to use: it is not signed; push`,
    ),
  )
  const first = await repository.commitSigned({}, dora)
  const { follower, log, clone } = await started(t, repository.path, options)
  assert.deepEqual([follower.current().commit, log.last().signer], [first, 'dora@example.com'])

  const plain = await repository.commit(user('bob'))
  await follower.refresh()
  await follower.refresh()
  const forged = await repository.commitSigned(user('carol'), stranger)
  await follower.refresh()
  assert.equal(follower.current().commit, first)
  assert.deepEqual(refusals(log), [
    ['error', 'signed', plain, first],
    ['error', 'signed', forged, first],
  ])
  assert.match(String(log.last().reason), /nobody who may has signed it: .*No principal matched/)

  // Restarted meanwhile; and she who signs what is there answers for all of it.
  await follower.close()
  const again = await started(t, repository.path, { ...options, clone })
  assert.equal(again.follower.current().commit, first)
  const second = await repository.commitSigned({}, dora)
  await again.follower.refresh()
  assert.equal(again.follower.current().commit, second)
  assert.ok(again.follower.current().user('carol'))

  // The file is read each time.
  writeSigners(allowedSigners, stranger.line)
  await repository.commitSigned(user('frank'), dora)
  await again.follower.refresh()
  assert.equal(again.follower.current().commit, second)
  const third = await repository.commitSigned({}, stranger)
  await again.follower.refresh()
  assert.equal(again.follower.current().commit, third)
  rmSync(allowedSigners)
  await repository.commitSigned(user('grace'), stranger)
  await again.follower.refresh()
  assert.equal(again.follower.current().commit, third)
  assert.match(String(again.log.last().reason), /cannot be checked: .*ENOENT.*allowed_signers/)
})

test('a signature does not make a rewritten history good', async t => {
  if (!need(t, 'git', 'ssh-keygen')) return
  const repository = await empty(t)
  const dora = await sshSigner('dora@example.com')
  cleanUp(t, () => dora.remove())
  const allowedSigners = writeSigners(join(temporary, 'signers-2'), dora.line)
  const old = await repository.commitSigned(user('alice'), dora)
  const now = await repository.commitSigned({ ...user('bob'), 'example.com/users/alice.toml': null }, dora)
  const { follower, log } = await started(t, repository.path, { require: 'signed', allowedSigners })
  await repository.git('update-ref', 'refs/heads/main', old)
  await follower.refresh()
  assert.equal(follower.current().commit, now)
  assert.deepEqual(refusals(log), [['error', 'fast-forward', old, now]])
})

test('signatures are asked for when there were none: what is in force stays, and it is told', async t => {
  if (!need(t, 'git', 'ssh-keygen')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  const { follower, clone } = await started(t, repository.path)
  await follower.close()
  const dora = await sshSigner('dora@example.com')
  cleanUp(t, () => dora.remove())
  const allowedSigners = writeSigners(join(temporary, 'signers-3'), dora.line)
  const again = await started(t, repository.path, { clone, require: 'signed', allowedSigners })
  assert.equal(again.follower.current().commit, first)
  assert.deepEqual(refusals(again.log), [['error', 'signed', first, first]])
  const second = await repository.commitSigned({}, dora)
  await again.follower.refresh()
  assert.equal(again.follower.current().commit, second)
})

test('signed with OpenPGP: by a key of the file, not by any that the machine knows', async t => {
  if (!need(t, 'git', 'gpg', 'ssh-keygen')) return
  const repository = await empty(t)
  const [dora, stranger] = [await gpgSigner('dora@example.com'), await gpgSigner('eve@example.com')]
  cleanUp(t, () => Promise.all([dora.remove(), stranger.remove()]))
  const keyring = writeSigners(join(temporary, 'signers.asc'), dora.publicKey)
  const first = await repository.commitSigned(user('alice'), dora)
  const { follower, log, clone } = await started(t, repository.path, { require: 'signed', keyring })
  assert.deepEqual([follower.current().commit, log.last().signer], [first, 'dora@example.com'])
  // The user that runs ptt has the stranger's key, and trusts it.
  process.env.GNUPGHOME = stranger.env.GNUPGHOME
  cleanUp(t, () => delete process.env.GNUPGHOME)
  const forged = await repository.commitSigned(user('bob'), stranger)
  await follower.refresh()
  assert.deepEqual(refusals(log), [['error', 'signed', forged, first]])
  assert.match(String(log.last().reason), /nobody who may has signed it: .*No public key/)
  const second = await repository.commitSigned({}, dora)
  await follower.refresh()
  assert.equal(follower.current().commit, second)

  // Both kinds; and the one alone does not let the other in.
  const frank = await sshSigner('frank@example.com')
  cleanUp(t, () => frank.remove())
  const allowedSigners = writeSigners(join(temporary, 'signers-4'), frank.line)
  const third = await repository.commitSigned(user('carol'), frank)
  await follower.refresh()
  assert.equal(follower.current().commit, second)
  await follower.close()
  const both = await started(t, repository.path, { clone, require: 'signed', keyring, allowedSigners })
  assert.equal(both.follower.current().commit, third)
  const fourth = await repository.commitSigned(user('erin'), dora)
  await both.follower.refresh()
  assert.equal(both.follower.current().commit, fourth)
  await both.follower.close()
  const ssh = await started(t, repository.path, { clone, require: 'signed', allowedSigners })
  await repository.commitSigned(user('grace'), stranger)
  await ssh.follower.refresh()
  await repository.commitSigned({}, dora)
  await ssh.follower.refresh()
  assert.equal(ssh.follower.current().commit, fourth)
})

test('an alarm when the repository is out of reach for too long, once', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const { follower, log } = await started(t, repository.path, { alarmAfterMs: 60_000 })
  await repository.git('update-ref', '-d', 'refs/heads/main')
  await follower.refresh()
  t.mock.timers.tick(59_999)
  await follower.refresh()
  assert.deepEqual(log.states(), ['in force', 'unreachable'])
  t.mock.timers.tick(1)
  await follower.refresh()
  await follower.refresh()
  assert.deepEqual(log.states(), ['in force', 'unreachable', 'alarm'])
  const { about, minutes, level, in_force } = log.last()
  assert.deepEqual([about, minutes, level, in_force], ['directory', 1, 'error', follower.current().commit])
})

test('the clock of the alarm goes on over a restart, unless nobody looked for as long', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const main = await repository.git('rev-parse', 'main')
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const options = { alarmAfterMs: 60_000, clone: join(temporary, 'outage.git') }
  const life = () => started(t, repository.path, options)
  const first = await life()
  await repository.git('update-ref', '-d', 'refs/heads/main')
  await first.follower.refresh()
  t.mock.timers.tick(50_000)
  await first.follower.refresh()
  await first.follower.close()
  t.mock.timers.tick(10_000)
  const second = await life()
  assert.deepEqual(second.log.states(), ['in force', 'unreachable', 'alarm'])
  assert.equal(second.log.last().minutes, 1)
  await second.follower.close()
  // Away for longer: it may have been reachable meanwhile.
  t.mock.timers.tick(60_001)
  const third = await life()
  assert.deepEqual(third.log.states(), ['in force', 'unreachable'])
  t.mock.timers.tick(59_999)
  await third.follower.refresh()
  await third.follower.close()
  await repository.git('update-ref', 'refs/heads/main', main)
  const fourth = await life()
  assert.deepEqual(fourth.log.states(), ['in force', 'reachable'], 'over, and told')
  await repository.git('update-ref', '-d', 'refs/heads/main')
  t.mock.timers.tick(59_999)
  await fourth.follower.refresh()
  t.mock.timers.tick(59_999)
  await fourth.follower.refresh()
  assert.deepEqual(fourth.log.states(), ['in force', 'reachable', 'unreachable'], 'a new one begins anew')
})

test('how long a commit took to be in force is told', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const { follower, log } = await started(t, repository.path)
  assert.equal(log.last().lag_seconds, undefined)
  await repository.commit(user('bob'))
  const committed = Number(await repository.git('log', '-1', '--format=%ct', 'main'))
  t.mock.timers.enable({ apis: ['Date'], now: (committed + 7) * 1000 })
  await follower.refresh()
  assert.equal(log.last().lag_seconds, 7)
})
