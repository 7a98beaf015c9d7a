/** What can go wrong between a repository and its followers: races, deaths, full disks, corruption. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { addUser } from '../../src/directory/users.ts'
import { cleanUp, started, temporary } from '../peers/git-follower.ts'
import { startGitHttp } from '../peers/git-http.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { need, needRoot } from '../peers/need.ts'
import { run } from '../peers/program.ts'

const verifier = await makeVerifier('pencil', { iterations: 4096 })
const password = `password = "${formatVerifier(verifier)}"\n`
const user = (name: string) => ({ [`example.com/users/${name}.toml`]: password })
/** Does not compress; not read by anybody. */
const bulk = (octets: number) => ({ 'README.md': randomBytes(octets).toString('base64') })

async function users(t: TestContext): Promise<GitRepository> {
  const repository = await makeGitRepository()
  cleanUp(t, () => repository.remove())
  await repository.commit(user('alice'))
  return repository
}

/** Files of a fetch that came to nothing. */
const leftOver = (clone: string) =>
  readdirSync(clone, { recursive: true, encoding: 'utf8' }).filter(name => /tmp_|\.lock$|gnupg-/.test(name))

test('many push at once: nothing is lost, and every commit in force goes on from the one before', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const { follower, log } = await started(t, repository.path, { intervalMs: 10 })
  const options = { repository: repository.path, branch: 'main', domain: 'example.com', temporary }
  const names = Array.from({ length: 8 }, (_, index) => `user${index}`)
  await Promise.all(names.map(name => addUser(options, { name, senders: [], verifier })))
  const head = await repository.git('rev-parse', 'main')
  await log.until('in force', head)
  for (const name of names) assert.ok(follower.current().user(name), name)
  assert.equal(await repository.git('rev-list', '--count', 'main'), '9')
  const commits = log.told.map(({ commit }) => String(commit))
  for (const [index, commit] of commits.entries())
    if (index > 0) await repository.git('merge-base', '--is-ancestor', commits[index - 1] ?? '', commit)
  assert.ok(log.states().every(state => state === 'in force'))
})

test('a remote that dies in the middle of a fetch', async t => {
  if (!need(t, 'git')) return
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  let dieAfter: number | null = null
  const server = await startGitHttp(repository.path, { dieAfter: () => dieAfter })
  cleanUp(t, () => server.stop())
  const { follower, log, clone } = await started(t, server.url)
  const second = await repository.commit({ ...user('bob'), ...bulk(2 << 20) })
  for (dieAfter of [0, 100, 100_000, 2_000_000]) {
    await follower.refresh()
    assert.equal(follower.current().commit, first)
    assert.equal(log.last().state, 'unreachable')
    assert.deepEqual(leftOver(clone), [])
  }
  // The very first fetch as well.
  await assert.rejects(started(t, server.url), /no users can be read from .*no earlier copy/s)
  dieAfter = null
  await follower.refresh()
  assert.equal(follower.current().commit, second)
  assert.deepEqual([log.told.at(-2)?.state, log.last().state], ['in force', 'reachable'])
})

test('the disk of the clone is full', async t => {
  if (!need(t, 'git')) return
  if (!needRoot(t, 'have a small disk')) return
  const disk = join(temporary, 'disk')
  mkdirSync(disk)
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk])
  if (mounted.code !== 0) return t.skip(`no small disk here: ${mounted.output}`)
  cleanUp(t, () => run('umount', ['--lazy', disk]))
  const repository = await users(t)
  const first = await repository.git('rev-parse', 'main')
  const clone = join(disk, 'clone.git')
  const { follower, log } = await started(t, repository.path, { clone })
  const second = await repository.commit({ ...user('bob'), ...bulk(4 << 20) })
  await follower.refresh()
  assert.equal(follower.current().commit, first)
  assert.equal(log.last().state, 'unreachable')
  assert.match(String(log.last().reason), /No space left on device/)
  assert.match(String(log.last().advice), /the disk of the clone is full/)
  assert.deepEqual(leftOver(clone), [])

  // Not an octet is left: what is in force cannot even be looked at.
  const filler = join(disk, 'filler')
  assert.throws(() => writeFileSync(filler, Buffer.alloc(4 << 20)), /ENOSPC/)
  await follower.refresh()
  assert.equal(follower.current().commit, first)
  const again = await started(t, repository.path, { clone })
  assert.equal(again.follower.current().commit, first)
  await again.follower.close()

  rmSync(filler)
  const grown = await run('mount', ['-o', 'remount,size=32m', disk])
  assert.equal(grown.code, 0, grown.output)
  await follower.refresh()
  assert.equal(follower.current().commit, second)
  assert.equal(log.last().state, 'reachable')
})

for (const transport of ['path', 'http'] as const)
  test(`an object of the remote is corrupt, by ${transport}`, async t => {
    if (!need(t, 'git')) return
    const repository = await users(t)
    const first = await repository.git('rev-parse', 'main')
    const server = await startGitHttp(repository.path)
    cleanUp(t, () => server.stop())
    const url = transport === 'path' ? repository.path : server.url
    const { follower, log, clone } = await started(t, url)
    const made = statSync(join(clone, 'ptt-clone')).ino
    const second = await repository.commit(user('bob'))
    const oid = await repository.git('rev-parse', 'main:example.com/users')
    const file = join(repository.path, 'objects', oid.slice(0, 2), oid.slice(2))
    const whole = readFileSync(file)
    for (const damage of [Buffer.alloc(0), Buffer.from('nonsense'), whole.subarray(0, whole.length / 2)]) {
      chmodSync(file, 0o600)
      writeFileSync(file, damage)
      await follower.refresh()
      await follower.refresh()
      assert.equal(follower.current().commit, first)
      assert.deepEqual([log.last().state, log.last().in_force], ['unreachable', first])
      assert.deepEqual(leftOver(clone), [])
    }
    assert.equal(statSync(join(clone, 'ptt-clone')).ino, made, 'it is not our clone that has to be made anew')
    await assert.rejects(started(t, url), /no earlier copy/)
    writeFileSync(file, whole)
    await follower.refresh()
    assert.equal(follower.current().commit, second)
  })
