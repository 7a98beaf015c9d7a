/**
 * Whatever is committed, valid or broken, seen one by one or several at once, by a follower that goes on or one that is
 * started again: what is in force is what a fresh clone of the last valid commit that was seen says.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { WholeDirectory } from '../../src/directory/assemble.ts'
import type { Directory } from '../../src/directory/directory.ts'
import { readRepository } from '../../src/directory/edit.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { DirectoryError } from '../../src/directory/problem.ts'
import { follow } from '../../src/directory/repository.ts'
import { logTo } from '../../src/observe/event.ts'
import { temporary } from '../peers/git-follower.ts'
import { makeGitRepository } from '../peers/git-repository.ts'
import { need } from '../peers/need.ts'

const hashes = await Promise.all(
  ['pencil', 'eraser'].map(async word => formatVerifier(await makeVerifier(word, { iterations: 4096 }))),
)
const person = (which: number, ...lines: string[]) =>
  [`password = "${hashes[which]}"`, ...lines, ''].join('\n')

/** What may become of a path: texts that are right, wrong, or wrong only beside others; `null`: the file goes. */
const contents: Record<string, (string | null)[]> = {
  'example.com/users/alice.toml': [
    person(0),
    person(1, 'senders = ["info", "*@news.example.com"]'),
    person(0, 'targets = ["bob@example.com"]', 'limits = { message_size = "1 MB" }'),
    person(1, 'limits = { messages_per_day = 1, recipients_per_day = 2 }'),
    person(0, 'suspended = "Call 555-0100"'),
    person(0, 'senders = ["x@example.org"]'),
    'password = "hunter2"',
    null,
  ],
  'example.com/users/bob.toml': [person(1), person(1, 'targets = ["alice"]'), 'x', null],
  'example.com/users/carol/x.toml': [person(0), null],
  'example.com/groups/sales.toml': [
    'members = ["alice"]',
    'members = ["alice", "bob"]\nsenders = ["shop"]',
    null,
  ],
  'example.com/groups/press.toml': ['members = ["alice"]', 'members = ["alice"]\nsenders = ["x"]', null],
  'example.com/aliases.toml': ['info = ["alice"]', 'bob = ["alice"]', 'a = ["b"]\nb = ["a"]', '', null],
  'example.com/domain.toml': [
    '',
    'default_limits = { recipients_per_message = 5, messages_per_day = 10 }',
    'signing_budget = 100\ntotal_limits = { new_recipients_per_day = 20 }',
    'signing_budget = 0',
    null,
  ],
  'example.org/users/alice.toml': [person(0), person(1), null],
  alice: [JSON.stringify({ targets: [], password: 'a'.repeat(128) }), null],
  'README.md': ['one', 'two', null],
}

/** Of each, what is right whatever the others are. */
const whole = {
  ...Object.fromEntries(Object.keys(contents).map(path => [path, null])),
  'example.com/users/alice.toml': person(0),
  'example.com/users/bob.toml': person(1),
}

const change = fc
  .constantFrom(...Object.keys(contents))
  .chain(path => fc.constantFrom(...(contents[path] ?? [])).map(text => [path, text] as const))
const step = fc.record({
  commit: fc.array(change, { minLength: 1, maxLength: 3 }),
  /** Everything is put right before. */
  repair: fc.boolean(),
  /** Several commits may come before the follower looks. */
  look: fc.boolean(),
  restart: fc.nat(4).map(chance => chance === 0),
})

/** All of it, in an order of its own. */
function view(directory: Directory): unknown {
  const { users, groups, aliases, domains, scram, rules, signingBudgets } = directory as WholeDirectory
  const sorted = (map: ReadonlyMap<string, unknown>) =>
    [...map].toSorted(([one], [other]) => (one < other ? -1 : 1))
  const targets = [...users.keys(), ...groups.keys(), ...aliases.keys()].toSorted().map(name => {
    const [localPart = '', domain = ''] = name.split('@')
    return [name, directory.targets({ localPart, domain })]
  })
  const ofDomains = [[...domains].toSorted(), sorted(rules), sorted(signingBudgets ?? new Map())]
  return [sorted(users), sorted(groups), sorted(aliases), ofDomains, scram, targets]
}

test('any sequence of commits has the view of a fresh clone of the last valid one', async t => {
  if (!need(t, 'git')) return
  let runs = 0
  let looks = 0
  let broken = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 10 }), async steps => {
      const repository = await makeGitRepository()
      const options = { repository: repository.path, branch: 'main', domain: 'example.com', temporary }
      const following = {
        ...options,
        ...{ require: 'fast-forward' as const, intervalMs: 3_600_000, alarmAfterMs: 3_600_000 },
        clone: join(temporary, `property-${runs++}.git`),
      }
      const told: unknown[] = []
      const log = logTo((_, { state, file, line, rule }) => {
        if (state === 'broken') told.push({ file, line, rule })
      })
      await repository.commit({ 'example.com/users/alice.toml': person(0) })
      let expected = await readRepository(options)
      let follower = await follow({ ...following, log })
      try {
        for (const { commit, repair, look, restart } of steps) {
          await repository.commit({ ...(repair ? whole : {}), ...Object.fromEntries(commit) })
          if (restart) {
            await follower.close()
            follower = await follow({ ...following, log })
          } else if (look) await follower.refresh()
          else continue
          looks++
          try {
            expected = await readRepository(options)
          } catch (error) {
            assert.ok(error instanceof DirectoryError)
            broken++
            // What is wrong is told in the same words, whatever the follower has read before.
            assert.deepEqual(told.splice(0), error.problems.slice(0, 10))
          }
          const current = follower.current()
          assert.equal(current.commit, expected.commit)
          assert.deepEqual(view(current), view(expected))
        }
      } finally {
        await follower.close()
        await repository.remove()
      }
    }),
    { seed: 44, numRuns: 25 },
  )
  t.diagnostic(`${looks} looks, of them ${broken} at a broken commit`)
  assert.ok(looks > 50 && broken > 10 && broken < looks - 10, 'both kinds are met')
})
