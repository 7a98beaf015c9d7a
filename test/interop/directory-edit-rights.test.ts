/** What `ptt user, group, alias, domain` make of the files: one commit each, and nothing else touched. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { addAlias, removeAlias } from '../../src/directory/aliases.ts'
import {
  addDomain,
  budgetDomain,
  limitDomain,
  removeDomain,
  selectorOfDomain,
  signDomain,
} from '../../src/directory/domains.ts'
import { type EditOptions, readRepository } from '../../src/directory/edit.ts'
import { addMembers, removeMembers } from '../../src/directory/groups.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import {
  grantSenders,
  limitUser,
  resumeUser,
  revokeSenders,
  suspendUser,
} from '../../src/directory/user-edits.ts'
import { removeUser } from '../../src/directory/users.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-rights-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const hash = formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))
const ALICE = 'example.com/users/alice.toml'
const user = (...lines: string[]) => [`password = "${hash}" # hers`, ...lines, ''].join('\n')

async function begin(
  t: TestContext,
  files: Record<string, string>,
): Promise<{ repository: GitRepository; options: EditOptions }> {
  const repository = await makeGitRepository()
  t.after(() => repository.remove())
  await repository.commit(files)
  const options = { repository: repository.path, branch: 'main', domain: 'example.com', temporary: folder }
  return { repository, options }
}

type Step = [
  change: (options: EditOptions) => Promise<unknown>,
  /** The subject of the commit, and the file after it; or why nothing was changed. */
  expected: RegExp | [subject: string, path: string, text: string | null],
]

async function steps(t: TestContext, files: Record<string, string>, all: readonly Step[]): Promise<void> {
  if (!need(t, 'git')) return
  const { repository, options } = await begin(t, files)
  for (const [change, expected] of all) {
    const before = await repository.git('rev-parse', 'main')
    if (expected instanceof RegExp) {
      await assert.rejects(change(options), expected)
      assert.equal(await repository.git('rev-parse', 'main'), before)
      continue
    }
    await change(options)
    const [subject, path, text] = expected
    assert.equal(await repository.git('log', '--format=%s', `${before}..main`), subject)
    assert.equal(await repository.git('diff-tree', '--name-only', '-r', before, 'main'), path)
    const now = await repository.git('cat-file', '-p', `main:${path}`).catch(() => null)
    assert.equal(now, text === null ? null : text.trimEnd())
  }
}

test('suspend and resume', t =>
  steps(
    t,
    { [ALICE]: user('senders = []'), bob: JSON.stringify({ targets: [], password: 'a'.repeat(128) }) },
    [
      [
        options => suspendUser(options, 'Alice', 'Call 555-0100'),
        ['users: Suspend alice@example.com', ALICE, user('senders = []', 'suspended = "Call 555-0100"')],
      ],
      [options => suspendUser(options, 'alice', 'Call 555-0100'), /it is so already/],
      [
        options => suspendUser(options, 'alice', 'Über'),
        /suspended: write why in 1 to 200 printable US-ASCII/,
      ],
      [options => suspendUser(options, 'alice', ''), /suspended: write why/],
      [
        options => resumeUser(options, 'alice@example.com'),
        ['users: Resume alice@example.com', ALICE, user('senders = []')],
      ],
      [options => resumeUser(options, 'alice'), /it is so already/],
      [options => suspendUser(options, 'carol', 'x'), /there is no user carol@example\.com/],
      [options => suspendUser(options, 'bob', 'x'), /in the original layout.*ptt user passwd/],
    ],
  ))

test('grant and revoke', t =>
  steps(t, { [ALICE]: user('senders = ["Info", "*@news.example.com"] # since May') }, [
    [
      options => grantSenders(options, 'alice', ['info@example.com', 'shop', '*@shop.example.com']),
      [
        'users: Let alice@example.com send as info@example.com, shop, *@shop.example.com',
        ALICE,
        user('senders = ["Info", "*@news.example.com", "shop", "*@shop.example.com"] # since May'),
      ],
    ],
    [
      options => grantSenders(options, 'alice', ['x@example.org']),
      /"x@example\.org" is outside example\.com/,
    ],
    [options => grantSenders(options, 'alice', ['shop@EXAMPLE.com']), /it is so already/],
    [
      options => revokeSenders(options, 'alice', ['INFO', '*@shop.example.com', 'shop']),
      [
        'users: Let alice@example.com no longer send as INFO, *@shop.example.com, shop',
        ALICE,
        user('senders = ["*@news.example.com"] # since May'),
      ],
    ],
    [options => revokeSenders(options, 'alice', ['x']), /x@example\.com is not among the senders/],
    [
      options => revokeSenders(options, 'alice', ['*@news.example.com']),
      ['users: Let alice@example.com no longer send as *@news.example.com', ALICE, user()],
    ],
  ]))

test('limits of a user and of a domain', t =>
  steps(t, { [ALICE]: user(), 'Example.org/users/bob.toml': user() }, [
    [
      options => limitUser(options, 'alice', { message_size: '10 MiB', recipients_per_message: 50 }),
      [
        'users: Limits of alice@example.com',
        ALICE,
        user('limits = { message_size = "10 MiB", recipients_per_message = 50 }'),
      ],
    ],
    [
      options => limitUser(options, 'alice', { message_size: null }),
      ['users: Limits of alice@example.com', ALICE, user('limits = { recipients_per_message = 50 }')],
    ],
    [
      options => limitUser(options, 'alice', { messages_per_day: 0 }),
      /limits\.messages_per_day: write a whole number from 1/,
    ],
    [options => limitUser(options, 'alice', { message_size: '10' }), /limits\.message_size: write a number/],
    [
      options => limitUser(options, 'alice', { recipients_per_message: null }),
      ['users: Limits of alice@example.com', ALICE, user()],
    ],
    [
      options => limitDomain(options, 'example.org', { message_size: '1 MB' }),
      [
        'domains: Limits of example.org',
        'Example.org/domain.toml',
        '# example.org\ndefault_limits = { message_size = "1 MB" }\n',
      ],
    ],
    [
      options => limitDomain(options, 'example.org', { messages_per_day: 500 }, 'total_limits'),
      [
        'domains: Limits of example.org',
        'Example.org/domain.toml',
        '# example.org\ndefault_limits = { message_size = "1 MB" }\ntotal_limits = { messages_per_day = 500 }\n',
      ],
    ],
    [
      options => budgetDomain(options, 'example.org', 100),
      [
        'domains: Signing budget of example.org',
        'Example.org/domain.toml',
        '# example.org\ndefault_limits = { message_size = "1 MB" }\ntotal_limits = { messages_per_day = 500 }\nsigning_budget = 100\n',
      ],
    ],
    [
      options => budgetDomain(options, 'example.org', null),
      [
        'domains: Signing budget of example.org',
        'Example.org/domain.toml',
        '# example.org\ndefault_limits = { message_size = "1 MB" }\ntotal_limits = { messages_per_day = 500 }\n',
      ],
    ],
    [options => limitDomain(options, 'example.net', { message_size: '1 MB' }), /ptt domain add example\.net/],
  ]))

test('how a domain is signed for', t => {
  const file = (...lines: string[]): [string, string] => [
    'example.org/domain.toml',
    ['# example.org', ...lines, ''].join('\n'),
  ]
  const signing = 'domains: Signing of example.org'
  const selector = 'domains: Selector of example.org'
  return steps(t, { [ALICE]: user(), 'example.org/domain.toml': '# example.org\n' }, [
    [options => signDomain(options, 'example.org', 'never'), [signing, ...file('sign = "never"')]],
    [
      options => selectorOfDomain(options, 'example.org', 'org-{number}-{algorithm}'),
      [selector, ...file('sign = "never"', 'selector = "org-{number}-{algorithm}"')],
    ],
    [
      options => selectorOfDomain(options, 'example.org', 'org_{date}'),
      /selector: write letters, digits, hyphens/,
    ],
    [
      options => signDomain(options, 'example.org', 'always'),
      [signing, ...file('selector = "org-{number}-{algorithm}"')],
    ],
    [options => signDomain(options, 'example.org', 'always'), /it is so already/],
    [options => selectorOfDomain(options, 'example.org', null), [selector, ...file()]],
    [options => signDomain(options, 'example.net', 'never'), /ptt domain add example\.net/],
  ])
})

const SALES = 'example.com/groups/sales.toml'
test('groups', t =>
  steps(
    t,
    { [ALICE]: user(), 'example.com/users/bob.toml': user(), 'example.org/users/carol.toml': user() },
    [
      [
        options => addMembers(options, 'sales', ['alice', 'carol@example.org']),
        [
          'groups: Add alice@example.com, carol@example.org to sales@example.com',
          SALES,
          '# sales@example.com\nmembers = ["alice", "carol@example.org"]\n',
        ],
      ],
      [
        options => addMembers(options, 'SALES', ['Alice@example.com', 'bob']),
        [
          'groups: Add alice@example.com, bob@example.com to sales@example.com',
          SALES,
          '# sales@example.com\nmembers = ["alice", "carol@example.org", "bob"]\n',
        ],
      ],
      [options => addMembers(options, 'sales', ['bob']), /it is so already/],
      [options => addMembers(options, 'sales', ['dora']), /there is no user dora@example\.com/],
      [options => addMembers(options, 'alice', ['bob']), /alice@example\.com is already in/],
      [options => addMembers(options, 'x@example.net', ['bob']), /ptt domain add example\.net/],
      [
        options => removeMembers(options, 'sales', ['carol@example.org', 'alice']),
        [
          'groups: Remove carol@example.org, alice@example.com from sales@example.com',
          SALES,
          '# sales@example.com\nmembers = ["bob"]\n',
        ],
      ],
      [options => removeMembers(options, 'sales', ['alice']), /alice@example\.com is not a member/],
      // He takes his membership with him.
      [
        options => removeUser(options, 'bob'),
        ['users: Remove bob@example.com', `${SALES}\nexample.com/users/bob.toml`, null],
      ],
      [options => removeMembers(options, 'sales', []), ['groups: Remove sales@example.com', SALES, null]],
      [options => removeMembers(options, 'sales', []), /there is no group sales@example\.com/],
    ],
  ))

const ALIASES = 'example.com/aliases.toml'
test('aliases', t =>
  steps(t, { [ALICE]: user(), 'example.org/aliases.toml': '# ours\nInfo = ["alice@example.com"] # main\n' }, [
    [
      options => addAlias(options, 'first.last', ['alice', 'bob@home.example']),
      [
        'aliases: Let first.last@example.com lead to alice, bob@home.example',
        ALIASES,
        '"first.last" = ["alice", "bob@home.example"]\n',
      ],
    ],
    [
      options => addAlias(options, 'FIRST.last@example.com', ['Alice@example.com', 'carol@home.example']),
      [
        'aliases: Let first.last@example.com lead to Alice@example.com, carol@home.example',
        ALIASES,
        '"first.last" = ["alice", "bob@home.example", "carol@home.example"]\n',
      ],
    ],
    [
      options => addAlias(options, 'info@example.org', ['x@y.example']),
      [
        'aliases: Let info@example.org lead to x@y.example',
        'example.org/aliases.toml',
        '# ours\nInfo = ["alice@example.com", "x@y.example"] # main\n',
      ],
    ],
    [options => addAlias(options, 'alice', ['bob']), /alice@example\.com is already in/],
    [options => addAlias(options, 'x', ['x']), /targets never end: x@example\.com → x@example\.com/],
    [options => addAlias(options, 'x', ['a b']), /"a b" is not a mailbox/],
    [options => addAlias(options, 'x@example.net', ['alice']), /ptt domain add example\.net/],
    [options => removeAlias(options, 'first.last', ['dora']), /does not lead to dora@example\.com/],
    [
      options => removeAlias(options, 'first.last', ['alice', 'carol@HOME.example']),
      [
        'aliases: Let first.last@example.com no longer lead to alice, carol@HOME.example',
        ALIASES,
        '"first.last" = ["bob@home.example"]\n',
      ],
    ],
    [
      options => removeAlias(options, 'info@example.org', []),
      ['aliases: Remove info@example.org', 'example.org/aliases.toml', '# ours\n'],
    ],
    [options => removeAlias(options, 'info@example.org', []), /there is no alias info@example\.org/],
  ]))

test('domains', t =>
  steps(t, { [ALICE]: user() }, [
    [
      options => addDomain(options, 'Bücher.example'),
      [
        'domains: Add xn--bcher-kva.example',
        'xn--bcher-kva.example/domain.toml',
        '# xn--bcher-kva.example\n',
      ],
    ],
    [options => addDomain(options, 'bücher.example'), /is there already/],
    [options => addDomain(options, 'ex ample'), /is not a domain/],
    [options => removeDomain(options, 'example.com'), /has 1 other files, example\.com\/users\/alice\.toml/],
    [
      options => removeDomain(options, 'bücher.example'),
      ['domains: Remove xn--bcher-kva.example', 'xn--bcher-kva.example/domain.toml', null],
    ],
    [options => removeDomain(options, 'example.net'), /there is no domain example\.net/],
  ]))

test('the commands: what they say, and what a list shows', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await begin(t, { [ALICE]: user(), 'example.com/users/bob.toml': user() })
  const cwd = mkdtempSync(join(folder, 'deployment-'))
  const toml = `domain = "example.com"\n[directory]\nrepository = "${repository.path}"\n`
  writeFileSync(join(cwd, 'ptt.toml'), toml)
  const ptt = async (...args: string[]) => {
    const { code, output } = await run(...pttCommand(...args), { cwd })
    assert.equal(code, 0, output)
    return output
  }
  const said = (words: string, path: string) => new RegExp(`^${words}: ${path}, commit [0-9a-f]{12} in /`)
  assert.match(
    await ptt('domain', 'add', 'example.org'),
    said('example.org added', 'example.org/domain.toml'),
  )
  assert.match(
    await ptt('user', 'suspend', 'bob', 'Call 555-0100'),
    said('bob@example.com is suspended', 'example.com/users/bob.toml'),
  )
  assert.match(await ptt('user', 'grant', 'alice', 'info'), said('alice@example.com may send as info', ALICE))
  assert.match(
    await ptt('user', 'limit', 'alice', 'message_size=10MiB', 'recipients_per_message=5'),
    said('limits of alice@example.com are set', ALICE),
  )
  assert.match(
    await ptt('group', 'add', 'sales@example.org', 'alice', 'bob'),
    said('alice, bob may send as sales@example.org', 'example.org/groups/sales.toml'),
  )
  assert.match(
    await ptt('alias', 'add', 'postmaster', 'alice'),
    said('postmaster@example.com leads to alice', ALIASES),
  )
  const { limits, senders } = (await readRepository(options)).user('alice') ?? {}
  assert.deepEqual(limits, { messageOctets: 10_485_760, recipientsPerMessage: 5 })
  assert.deepEqual(senders, ['alice@example.com', 'info@example.com', 'sales@example.org'])
  assert.match(await ptt('user', 'list'), /\nbob@example\.com +suspended +SCRAM/)
  assert.equal(
    await ptt('domain', 'list'),
    'DOMAIN       USERS  GROUPS  ALIASES\nexample.com  2      0       1\nexample.org  0      1       0\n',
  )
  assert.match(
    await ptt('group', 'list'),
    /\nsales@example\.org +alice@example\.com bob@example\.com +- +-\n/,
  )
  assert.equal(
    await ptt('alias', 'list'),
    'ALIAS                   TARGETS\npostmaster@example.com  alice@example.com\n',
  )
  assert.match(await ptt('user', 'resume', 'bob'), /^bob@example\.com is not suspended any more/)
  assert.match(await ptt('user', 'revoke', 'alice', 'info'), /may no longer send as info/)
  assert.match(await ptt('user', 'limit', 'alice', 'message_size=none'), /are set/)
  await ptt('domain', 'limit', 'example.org', '--total', 'messages_per_day=20000')
  assert.match(
    await ptt('domain', 'budget', 'example.org', '5000'),
    /^the signing budget of example\.org is set/,
  )
  assert.equal(
    await repository.git('show', 'main:example.org/domain.toml'),
    '# example.org\ntotal_limits = { messages_per_day = 20000 }\nsigning_budget = 5000',
  )
  const nonsense = await run(...pttCommand('domain', 'budget', 'example.org', '0'), { cwd })
  assert.deepEqual([nonsense.code, /Write a whole number from 1, or none/.test(nonsense.output)], [1, true])
  await ptt('domain', 'budget', 'example.org', 'none')
  assert.match(await ptt('group', 'remove', 'sales@example.org'), /^sales@example\.org is removed/)
  assert.match(await ptt('domain', 'remove', 'example.org'), /^example\.org removed/)
  assert.match(await ptt('alias', 'remove', 'postmaster'), /^postmaster@example\.com is removed/)
  const bad = await run(...pttCommand('user', 'limit', 'alice', 'much'), { cwd })
  assert.deepEqual([bad.code, /write message_size=10MiB/.test(bad.output)], [1, true])
})

test('ptt directory import: one commit, all of it or nothing', async t => {
  if (!need(t, 'git')) return
  const { repository, options } = await begin(t, {
    [ALICE]: user(),
    'example.com/aliases.toml': '# ours\nx = ["alice"]',
  })
  const cwd = mkdtempSync(join(folder, 'import-'))
  const toml = `domain = "example.com"\n[directory]\nrepository = "${repository.path}"\n`
  writeFileSync(join(cwd, 'ptt.toml'), toml)
  const ptt = async (from: string, file: string, text?: string, ...more: string[]) => {
    if (text !== undefined) writeFileSync(join(cwd, file), text)
    const command = pttCommand('directory', 'import', '--from', from, file, ...more)
    const { code, output } = await run(...command, { cwd })
    return [code, output] as const
  }
  const subject = () => repository.git('log', '-1', '--format=%s')

  const virtual = 'example.org anything\ninfo@example.org alice@example.com\npostmaster alice\n'
  const [code, said] = await ptt('postfix-virtual', 'virtual', virtual)
  assert.equal(code, 0, said)
  assert.match(said, /^0 users and 2 aliases imported: commit [0-9a-f]{12} in /)
  assert.equal(await subject(), 'directory: Import 0 users and 2 aliases from virtual')
  assert.equal(
    await repository.git('show', 'main:example.com/aliases.toml'),
    '# ours\nx = ["alice"]\npostmaster = ["alice@example.com"]',
  )
  assert.equal(await repository.git('show', 'main:example.org/domain.toml'), '# example.org')
  assert.match(
    (await ptt('postfix-virtual', 'virtual'))[1],
    /these aliases are there already: info@example\.org/,
  )

  const csv =
    'user,password,senders,messages_per_day\nbob,correct horse,sales,5\ncarol@example.net,battery staple,,\n'
  const before = await repository.git('rev-parse', 'main')
  const [dry, would] = await ptt('csv', 'users.csv', csv, '--dry-run')
  assert.equal(dry, 0)
  assert.equal(
    would,
    [
      '+ example.net: a new domain',
      '+ bob@example.com: a new user',
      '+ bob@example.com may send as sales@example.com',
      '~ bob@example.com: messages_per_day no limit → 5',
      '+ carol@example.net: a new user',
      'Nothing was changed: without --dry-run, this would be.\n',
    ].join('\n'),
  )
  assert.equal(await repository.git('rev-parse', 'main'), before)
  assert.equal((await ptt('csv', 'users.csv', csv))[0], 0)
  assert.equal(await subject(), 'directory: Import 2 users and 0 aliases from users.csv')
  const { users } = await readRepository(options)
  assert.deepEqual([...users.keys()], ['alice@example.com', 'bob@example.com', 'carol@example.net'])
  assert.ok(!(await repository.git('log', '-p')).includes('correct horse'))
  const { limits } = (await readRepository(options)).user('bob') ?? {}
  assert.deepEqual(limits, { messagesPerDay: 5 })
  assert.match((await ptt('csv', 'users.csv', csv, '--dry-run'))[1], /these users are there already: bob@/)
  const [again, there] = await ptt('csv', 'users.csv')
  assert.equal(again, 1)
  assert.match(there, /these users are there already: bob@example\.com, carol@example\.net/)
  const outside = 'user,password,senders\ndora,correct horse,x@example.org\n'
  assert.match(
    (await ptt('csv', 'outside.csv', outside))[1],
    /dora\.toml:3: senders: "x@example\.org" is outside/,
  )

  const theirs = await makeGitRepository()
  t.after(() => theirs.remove())
  await theirs.commit({ erin: JSON.stringify({ targets: [], password: 'a'.repeat(128) }), 'README.md': '' })
  assert.equal((await ptt('original', theirs.path))[0], 0)
  assert.equal((await readRepository(options)).user('erin')?.verifier.scheme, 'BLAKE2B-512')
  assert.match((await ptt('csv', 'missing.csv'))[1], /ENOENT/)
  assert.match((await ptt('passwd', 'missing.csv'))[1], /Allowed choices are original, postfix-virtual, csv/)
})
