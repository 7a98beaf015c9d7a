/** `ptt directory`: status, explain, plan and accept, as a person or CI runs them. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { cleanUp, started, temporary } from '../peers/git-follower.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { sshSigner, writeSigners } from '../peers/git-signer.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'

const hash = formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))
const file = (...lines: string[]) => [`password = "${hash}"`, ...lines, ''].join('\n')

interface Deployed {
  readonly repository: GitRepository
  readonly clone: string
  /** Exit status and what was said. */
  ptt(...args: string[]): Promise<[code: number, output: string]>
}

/** A configuration and a repository; no service is started. */
async function deployed(
  t: TestContext,
  files: Record<string, string>,
  toml: readonly string[] = [],
): Promise<Deployed> {
  const repository = await makeGitRepository()
  cleanUp(t, () => repository.remove())
  await repository.commit(files)
  const folder = mkdtempSync(join(temporary, 'deployed-'))
  const config = join(folder, 'ptt.toml')
  const directory = [`repository = "${repository.path}"`, ...toml].join('\n')
  writeFileSync(config, `domain = "example.com"\n[directory]\n${directory}\n`)
  return {
    repository,
    clone: join(folder, 'clones/submission.git'),
    async ptt(...args) {
      const { code, output } = await run(...pttCommand('directory', ...args), {
        env: { PTT_CONFIG: config },
        cwd: folder,
      })
      return [code, output]
    },
  }
}

const short = (commit: string) => commit.slice(0, 12)

test('status: before the first start, in force, waiting, broken, rewritten, unreachable', async t => {
  if (!need(t, 'git')) return
  const { repository, clone, ptt } = await deployed(t, {
    'example.com/users/alice.toml': file(),
    'example.com/users/bob.toml': file('suspended = "Call 555-0100"'),
    'example.com/aliases.toml': 'info = ["alice"]\n',
  })
  const first = await repository.git('rev-parse', 'main')
  const before = await ptt('status')
  assert.equal(before[0], 0)
  assert.match(before[1], /^submission {3}nothing: .*clones\/submission\.git is not there/)
  assert.match(before[1], /has nothing wrong: in force when the service next looks/)

  const { follower } = await started(t, repository.path, { clone })
  const [code, now] = await ptt('status')
  assert.equal(code, 0)
  assert.match(
    now,
    new RegExp(`^submission +${short(first)} "test" by Test <test@example.com>, \\d{4}-.* UTC\n`),
  )
  assert.match(now, /\n +since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n/)
  assert.match(now, /\n +2 users \(1 suspended\), 0 groups, 1 alias, 1 domain\n/)
  assert.match(now, /\nsigner +nothing: .*\nrelay +nothing: .*\nRepository .*\nIts head +is in force\n$/)
  // Who began with a commit did not wait for it; the next one does, and it is told for how long.
  assert.doesNotMatch(now, /after it was committed/)
  // Another service that is behind.
  const signer = await started(t, repository.path, { clone: join(clone, '../signer.git') })
  const relay = await started(t, repository.path, { clone: join(clone, '../relay.git') })

  await repository.commit({ 'example.com/users/carol.toml': file() })
  assert.match((await ptt('status'))[1], /3 users .*\n +has nothing wrong/)
  await relay.follower.refresh()
  const [, followed] = await ptt('status')
  assert.match(followed, /\nrelay .*\n +since .* UTC, \d+ s after it was committed\n/)
  assert.equal(followed.match(/after it was committed/g)?.length, 1)
  await relay.follower.close()
  rmSync(join(clone, '../relay.git'), { recursive: true })

  const broken = await repository.commit({
    'example.com/users/dora.toml': file('', 'senders = ["x@y.example"]'),
  })
  const [failed, said] = await ptt('status')
  assert.equal(failed, 1)
  assert.match(said, new RegExp(`\nIts head +${short(broken)} .*\n +REFUSED, 1 problem:\n`))
  assert.match(said, /\n +example\.com\/users\/dora\.toml:3: senders: "x@y\.example" is outside example\.com/)
  assert.ok(!said.includes(hash))

  await repository.git('update-ref', '-d', 'refs/heads/main')
  const other = await repository.commit({ 'example.com/users/erin.toml': file() })
  await follower.refresh()
  await signer.follower.refresh()
  const [refused, why] = await ptt('status')
  assert.equal(refused, 1)
  assert.match(why, /REFUSED \(require = "fast-forward"\): the history was rewritten/)
  assert.match(why, new RegExp(`ptt directory accept ${other}`))
  const json = JSON.parse((await ptt('status', '--json'))[1])
  assert.deepEqual(
    [
      json.inForce.submission.kind,
      json.inForce.submission.commit,
      json.head.kind,
      json.head.rule,
      json.head.commit,
    ],
    ['in force', first, 'refused', 'fast-forward', other],
  )

  // The service goes on with what it has, until somebody agrees.
  assert.match((await ptt('accept', first))[1], /is not what the services saw last/)
  assert.deepEqual(await ptt('accept', short(other)), [
    0,
    `${short(other)} is in force for submission, signer at the next look, unless something else is wrong.\n`,
  ])
  assert.match((await ptt('status'))[1], /has nothing wrong: in force when the service next looks/)
  await follower.refresh()
  const [, half] = await ptt('status')
  assert.match(half, new RegExp(`^submission +${short(other)}.*\n(.*\n)*signer +${short(first)}`))
  assert.match(half, /has nothing wrong: in force when the service next looks/)
  await signer.follower.refresh()
  assert.match((await ptt('status'))[1], /Its head +is in force/)

  await repository.remove()
  const [gone, unreachable] = await ptt('status')
  assert.equal(gone, 1)
  assert.match(unreachable, new RegExp(`^submission +${short(other)}`))
  assert.match(unreachable, /Its head +UNREACHABLE: .*\n +make one with: git init --bare/)
})

test('status: a head that is not signed', async t => {
  if (!need(t, 'git', 'ssh-keygen')) return
  const dora = await sshSigner('dora@example.com')
  cleanUp(t, () => dora.remove())
  const signers = writeSigners(join(temporary, 'signers'), dora.line)
  const toml = ['require = "signed"', `allowed_signers = "${signers}"`]
  const { repository, ptt } = await deployed(t, { 'example.com/users/alice.toml': file() }, toml)
  const [code, said] = await ptt('status')
  assert.equal(code, 1)
  assert.match(said, /REFUSED \(require = "signed"\): it is not signed\n/)
  await repository.commitSigned({}, dora)
  assert.equal((await ptt('status'))[0], 0)
})

const sources = {
  'example.com/users/Alice.toml': file(
    '',
    'senders = [',
    '  "info", # since May',
    '  "*@news.example.com",',
    ']',
  ),
  'example.com/users/bob.toml': file('suspended = "Call 555-0100"'),
  'example.com/groups/sales.toml': 'senders = ["*@shop.example.com"]\nmembers = [\n  "bob",\n  "alice",\n]\n',
  carol: JSON.stringify({ targets: [], password: 'a'.repeat(128) }),
}
const questions: [name: string, from: string, allowed: boolean, rule: RegExp, where: string | null][] = [
  ['alice', 'alice@example.com', true, /^the own address$/, 'example.com/users/Alice.toml:1'],
  ['alice', 'INFO@example.com', true, /^senders: info@example\.com$/, 'example.com/users/Alice.toml:4'],
  ['alice', 'x@news.example.com', true, /^senders: \*@news/, 'example.com/users/Alice.toml:5'],
  ['alice', 'sales@example.com', true, /^member of sales@example\.com$/, 'example.com/groups/sales.toml:4'],
  ['alice', 'x@shop.example.com', true, /^member of sales@.*: \*@shop/, 'example.com/groups/sales.toml:1'],
  ['alice', '<>', true, /null reverse-path/, null],
  ['alice', 'bob@example.com', false, /^alice@.* may not send as bob@/, 'example.com/users/Alice.toml:3'],
  ['bob', 'bob@example.com', false, /^suspended$/, 'example.com/users/bob.toml:2'],
  ['carol@example.com', 'carol@example.com', true, /^the own address$/, 'carol:1'],
  ['carol', 'x@example.org', false, /may not send as x@example\.org/, 'carol:1'],
  ['sales@example.com', 'sales@example.com', false, /^a group does not sign in/, null],
  ['dora', 'dora@example.com', false, /^there is no such user$/, null],
]
test('explain: the rule, the file, the line, and the commit that wrote it', async t => {
  if (!need(t, 'git')) return
  const { repository, clone, ptt } = await deployed(t, { 'README.md': 'Users.\n' })
  const made = await repository.commit(sources)
  const later = await repository.commit({ 'example.com/users/erin.toml': file() })
  // Of the repository, as long as no service was started; then of what is in force.
  assert.match((await ptt('explain', 'erin', '--from', 'erin@example.com'))[1], /^erin@example\.com may send/)
  await started(t, repository.path, { clone })
  await repository.commit({ 'example.com/users/frank.toml': file() })
  assert.equal((await ptt('explain', 'frank', '--from', 'frank@example.com'))[0], 1)
  for (const [name, from, allowed, rule, where] of questions) {
    const [code, output] = await ptt('explain', name, '--from', from, '--json')
    const told = JSON.parse(output)
    assert.deepEqual([code, told.allowed, told.commit], [allowed ? 0 : 1, allowed, later], `${name} ${from}`)
    assert.match(told.rule, rule)
    assert.equal(told.where && `${told.where.file}:${told.where.line}`, where)
    if (where !== null) assert.equal(told.where.made.commit, made)
  }
  const [, text] = await ptt('explain', 'alice', '--from', 'sales@example.com')
  assert.match(
    text,
    new RegExp(
      [
        '^alice@example.com may send as <sales@example.com>',
        'Rule +member of sales@example.com',
        'File +example.com/groups/sales.toml:4: "alice",',
        `Written by +${short(made)} "test" by Test <test@example.com>, .* UTC`,
        `In force +${short(later)}\n$`,
      ].join('\n'),
    ),
  )
  assert.match((await ptt('explain', 'alice', '--from', 'x@y.example'))[1], /\nMay send as +alice@.* info@/)
})

test('plan: who gains and loses what; what is invalid; exit status for CI', async t => {
  if (!need(t, 'git')) return
  const { repository, ptt } = await deployed(t, {
    'example.com/users/alice.toml': file('senders = ["info", "news"]', 'targets = ["alice@home.example"]'),
    'example.com/users/bob.toml': file(),
    'example.com/users/carol.toml': file('suspended = "Call 555-0100"'),
    'example.com/aliases.toml': 'postmaster = ["alice"]\n"old" = ["bob"]\n',
    'example.com/groups/sales.toml': 'members = ["bob"]\n',
  })
  await repository.git('update-ref', 'refs/heads/topic', 'refs/heads/main')
  assert.deepEqual(await ptt('plan', 'topic'), [0, 'topic changes nothing.\n'])
  const other = formatVerifier(await makeVerifier('eraser', { iterations: 5000 }))
  await repository.commit(
    {
      'example.com/domain.toml': 'default_limits = { recipients_per_message = 50 }\n',
      'example.com/users/alice.toml': file('senders = ["info", "*@shop.example.com"]'),
      'example.com/users/bob.toml': `password = "${other}"\nlimits = { message_size = "1 KiB" }\n`,
      'example.com/users/carol.toml': file(),
      'example.com/users/dora.toml': file('senders = ["dora.d"]', 'suspended = "Not yet"'),
      'example.com/aliases.toml': 'postmaster = ["alice", "bob"]\n',
      'example.com/groups/sales.toml': 'members = ["alice"]\n',
      'example.org/domain.toml': '',
    },
    'topic',
  )
  // Meanwhile on main: the merge keeps it, and so does the plan.
  await repository.commit({ 'example.com/users/erin.toml': file() })
  const [code, said] = await ptt('plan', 'topic')
  assert.equal(code, 0)
  const person = (name: string) => `~ ${name}@example.com: recipients_per_message no limit → 50`
  assert.deepEqual(
    said.trimEnd().split('\n').toSorted(),
    [
      '+ alice@example.com may send as *@shop.example.com',
      '+ alice@example.com may send as sales@example.com',
      '+ dora@example.com may send as dora.d@example.com',
      '+ dora@example.com: a new user',
      '+ example.org: a new domain',
      '+ postmaster@example.com leads to bob@example.com',
      '- alice@example.com may no longer send as news@example.com',
      '- alice@example.com no longer leads to alice@home.example',
      '- bob@example.com may no longer send as sales@example.com',
      '- old@example.com no longer leads to bob@example.com',
      '- old@example.com: no alias any more',
      '~ bob@example.com has another password: SCRAM-SHA-256, 5000 iterations',
      '~ bob@example.com: message_size no limit → 1024',
      '~ carol@example.com is not suspended any more',
      '~ dora@example.com is suspended: Not yet',
      ...['alice', 'bob', 'carol', 'dora', 'erin'].map(person),
    ].toSorted(),
  )
  const { differences } = JSON.parse((await ptt('plan', 'topic', '--json'))[1])
  const sender = { who: 'alice@example.com', what: 'sender', before: null, after: 'sales@example.com' }
  assert.ok(differences.some((each: unknown) => JSON.stringify(each) === JSON.stringify(sender)))
  assert.ok(!JSON.stringify(differences).includes('$'), 'no verifier is shown')

  // In a checkout of CI, without a configuration.
  const args = ['--repository', repository.path, '--domain', 'example.com', '--config', '/nonexistent']
  assert.deepEqual(await ptt('plan', 'topic', ...args), [code, said])
  assert.deepEqual((await ptt('plan', 'main', ...args, '--base', 'topic'))[0], 0)

  await repository.commit({ 'example.com/users/frank.toml': 'password = "hunter2"\n' }, 'topic')
  const [invalid, wrong] = await ptt('plan', 'topic')
  assert.equal(invalid, 1)
  assert.match(wrong, /^topic cannot be in force:\n {2}example\.com\/users\/frank\.toml:1: password: not a/)
  assert.doesNotMatch(wrong, /hunter2/)

  await repository.commit({ 'example.com/users/frank.toml': null }, 'topic')
  await repository.commit({ 'example.com/users/bob.toml': file('senders = ["bobby"]') })
  const [conflict, both] = await ptt('plan', 'topic')
  assert.equal(conflict, 1)
  assert.match(both, /example\.com\/users\/bob\.toml:1: changed on both branches/)

  await repository.commit({ 'example.com/users/bob.toml': 'x' })
  await repository.commit({ 'example.com/users/bob.toml': 'x' }, 'topic')
  assert.equal((await ptt('plan', 'topic'))[0], 1)
  await repository.git('update-ref', 'refs/heads/mend', 'refs/heads/main')
  await repository.commit({ 'example.com/users/bob.toml': file() }, 'mend')
  const [mended, mends] = await ptt('plan', 'mend')
  assert.equal(mended, 0)
  assert.match(mends, /^mend has nothing wrong; what is there now has/)

  assert.deepEqual(await ptt('plan', 'nothing'), [
    2,
    'ptt directory plan: the repository has no branch nothing\n',
  ])
  assert.equal((await ptt('plan', 'topic', '--repository', '/nonexistent', '--domain', 'example.com'))[0], 2)
})
