/** A process that reads along in the clone of another: what is in force there is in force here, and it writes nothing. */

import assert from 'node:assert/strict'
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Along, readAlong } from '../../src/directory/along.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { silent } from '../../src/observe/event.ts'
import { cleanUp, Listener, started, temporary } from '../peers/git-follower.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'

const user = `password = "${formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))}"\n`

async function beside(t: TestContext, log = new Listener()) {
  const repository: GitRepository = await makeGitRepository()
  cleanUp(t, () => repository.remove())
  await repository.commit({ 'example.com/users/alice.toml': user })
  const clone = join(temporary, `along-${readdirSync(temporary).length}.git`)
  const { follower } = await started(t, repository.path, { clone, intervalMs: 3_600_000 })
  const options = {
    repository: repository.path,
    branch: 'main',
    clone,
    domain: 'example.com',
    log,
    refresh: async () => {
      await follower.refresh()
      return follower.current().commit
    },
  }
  const along: Along = await readAlong(options, follower.current().commit)
  cleanUp(t, () => along.close())
  return { repository, follower, along, clone, log }
}

test('along: a commit is in force when the neighbour says so, and its files are read from his clone', async t => {
  const { repository, follower, along } = await beside(t)
  assert.equal(along.current().user('alice')?.name, 'alice@example.com')
  const second = await repository.commit({ 'example.com/users/bob.toml': user })
  assert.notEqual(along.current().commit, second)
  await along.refresh()
  assert.equal(follower.current().commit, second)
  assert.equal(along.current().commit, second)
  assert.equal(along.current().user('bob')?.name, 'bob@example.com')
})

test('along: of many commits at once the last is in force', async t => {
  const { repository, follower, along } = await beside(t)
  const commits: string[] = []
  for (const name of ['bob', 'carol', 'dave']) {
    commits.push(await repository.commit({ [`example.com/users/${name}.toml`]: user }))
    await follower.refresh()
  }
  await Promise.all(commits.map(commit => along.take(commit)))
  assert.equal(along.current().commit, commits.at(-1))
  assert.equal(along.current().user('dave')?.name, 'dave@example.com')
})

test('along: the clone is made anew in its place, as it is when it was damaged', async t => {
  const { repository, follower, along, clone } = await beside(t)
  // Its git has the old folder open.
  const next = await repository.commit({ 'example.com/users/bob.toml': user })
  await along.refresh()
  assert.equal(along.current().commit, next)
  renameSync(clone, `${clone}.old`)
  rmSync(`${clone}.old`, { recursive: true })
  const other = await started(t, repository.path, { clone })
  const third = await repository.commit({ 'example.com/users/carol.toml': user })
  await other.follower.refresh()
  await along.take(third)
  assert.equal(along.current().user('carol')?.name, 'carol@example.com')
  await follower.close()
})

test('along: what cannot be read changes nothing but the log, and is tried again', async t => {
  const { repository, follower, along, log } = await beside(t)
  const before = along.current().commit
  const next = await repository.commit({ 'example.com/users/bob.toml': user })
  // It is not in the clone yet.
  await along.take(next)
  assert.equal(along.current().commit, before)
  assert.deepEqual([log.last().name, log.last().commit, log.last().in_force], ['alarm', next, before])
  await follower.refresh()
  await log.until('in force', next)
  assert.equal(along.current().commit, next)
})

test('along: nothing to begin with is an error', async t => {
  const { repository } = await beside(t)
  const options = { repository: repository.path, branch: 'main', domain: 'example.com', log: silent }
  const refresh = async () => ''
  await assert.rejects(
    readAlong({ ...options, clone: join(temporary, 'none.git'), refresh }, '0'.repeat(40)),
    /none\.git is no clone made by ptt/,
  )
})
