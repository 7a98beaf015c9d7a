import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { formatMailbox, parseMailbox } from '../smtp/path.ts'
import type { WholeDirectory } from './assemble.ts'
import { maySend } from './may-send.ts'
import type { Blob } from './objects.ts'
import { formatVerifier, makeVerifier } from './password.ts'
import { DirectoryError } from './problem.ts'
import { Reader } from './read.ts'

const COMMIT = '0123456789abcdef0123456789abcdef01234567'
const scram = formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))
const blake2b = createHash('blake2b512').update('pencil').digest('hex')
const user = (...lines: string[]) => [`password = "${scram}"`, ...lines].join('\n')
const original = (...targets: string[]) => JSON.stringify({ targets, password: blake2b, insecure: false })

type Files = Record<string, string | Uint8Array>

async function read(
  files: Files,
  reader = new Reader('example.com'),
  asked: string[] = [],
): Promise<WholeDirectory> {
  const contents = new Map<string, Uint8Array>()
  const blobs = Object.entries(files).map(([path, content]): Blob => {
    const octets = Buffer.from(content)
    const oid = createHash('sha1').update(octets).digest('hex')
    contents.set(oid, octets)
    return { mode: '100644', oid, path, sizeOctets: octets.length }
  })
  return reader.read(COMMIT, blobs, async oids => {
    asked.push(...oids)
    return oids.map(oid => contents.get(oid) ?? Buffer.alloc(0))
  })
}

async function problems(files: Files): Promise<string[]> {
  const error = await read(files).then(
    () => assert.fail('it was read'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof DirectoryError, String(error))
  return error.message.split('\n')
}

test('whether everybody can use SCRAM', async () => {
  const sha1 = 'SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE='
  const alice = { 'example.com/users/alice.toml': `password = ["${scram}", "${sha1}"]` }
  const directory = await read(alice)
  assert.equal(directory.scram, true)
  assert.equal(directory.user('alice')?.sha1Verifier?.iterations, 4096)
  assert.equal((await read({ ...alice, bob: original() })).scram, false)
  assert.equal((await read({})).scram, true)
})

test('a folder a domain', async () => {
  const directory = await read({
    'README.md': '# Users',
    'example.com/domain.toml': '',
    'example.com/users/alice.toml': user('senders = ["sales"]', 'targets = ["alice@home.example"]'),
    'example.com/users/bob.toml': user('senders = ["bob", "*@news.example.com"]'),
    'example.com/aliases.toml': 'sales = ["alice", "carol@elsewhere.example"]',
    'example.org/users/alice.toml': user(),
  })
  assert.equal(directory.commit, COMMIT)
  assert.deepEqual([...directory.domains], ['example.com', 'example.org'])
  assert.deepEqual([...directory.users.keys()], ['alice@example.com', 'bob@example.com', 'alice@example.org'])
  assert.equal(directory.aliases.size, 1)
  assert.deepEqual(directory.user('alice')?.senders, ['alice@example.com', 'sales@example.com'])
  assert.deepEqual(directory.user('bob')?.senders, ['bob@example.com', '*@news.example.com'])
})

test('a local-part that needs quotes, RFC 5321 §4.1.2', async () => {
  const directory = await read({
    '"John Doe"': original(),
    'example.com/users/a..b.toml': user('senders = [\'"sales desk"\']'),
    'example.com/groups/the team.toml': 'members = [\'"john doe"\', \'"a..b"@example.com\']',
    'example.com/aliases.toml': '"help desk" = [\'"john doe"@example.com\', "x@elsewhere.example"]',
  })
  const names = ['"john doe"@example.com', '"a..b"@example.com']
  assert.deepEqual([...directory.users.keys()], names)
  assert.deepEqual(directory.groups.get('"the team"@example.com')?.members, names)
  // As people type it, and as programs write it.
  for (const name of ['john doe', 'John Doe@example.com', '"john doe"', '"John Doe"@EXAMPLE.com'])
    assert.equal(directory.user(name)?.name, names[0], name)
  for (const name of ['a..b', '"a..b"@example.com']) assert.equal(directory.user(name)?.name, names[1], name)
  for (const name of ['"john doe', 'john doe"', 'john doe@', '"john doe"@nowhere.example'])
    assert.equal(directory.user(name), undefined, name)
  for (const { name } of directory.users.values())
    assert.equal(formatMailbox(parseMailbox(name, { utf8: true })), name)

  const may = (name: string, address: string) => {
    const user = directory.user(name)
    assert.ok(user)
    return maySend(user, parseMailbox(address)).allowed
  }
  assert.equal(may('john doe', '"John Doe"@example.com'), true)
  assert.equal(may('john doe', '"the team"@example.com'), true)
  assert.equal(may('john doe', '"sales desk"@example.com'), false)
  assert.equal(may('a..b', '"sales desk"@example.com'), true)
  assert.deepEqual(directory.targets({ localPart: 'Help Desk', domain: 'example.com' })?.map(formatMailbox), [
    '"john doe"@example.com',
    'x@elsewhere.example',
  ])
})

test('the original layout', async () => {
  const directory = await read({ alice: original('alice@home.example'), '"john doe"': original() })
  assert.deepEqual([...directory.domains], ['example.com'])
  assert.equal(directory.user('alice')?.verifier.scheme, 'BLAKE2B-512')
  assert.equal(directory.user('john doe')?.name, '"john doe"@example.com')
  assert.deepEqual(directory.user('alice')?.senders, ['alice@example.com'])
})

const names: [login: string, name: string | undefined][] = [
  ['alice', 'alice@example.com'],
  ['ALICE', 'alice@example.com'],
  ['Alice@EXAMPLE.COM', 'alice@example.com'],
  ['alice@xn--bcher-kva.example', 'alice@xn--bcher-kva.example'],
  ['alice@Bücher.example', 'alice@xn--bcher-kva.example'],
  ['josé', 'josé@example.com'],
  ['jose\u0301@example.com', 'josé@example.com'],
  ['bob', undefined],
  ['alice@example.org', undefined],
  ['alice@', undefined],
  ['@example.com', undefined],
  ['', undefined],
  ['alice@null', undefined],
  ['alice@\u0000', undefined],
]
test('login names', async () => {
  const directory = await read({
    'example.com/users/alice.toml': user(),
    'example.com/users/josé.toml': user(),
    'bücher.example/users/alice.toml': user(),
  })
  for (const [login, name] of names) assert.equal(directory.user(login)?.name, name, JSON.stringify(login))
})

const ways: [mailbox: string, targets: string[] | undefined][] = [
  ['alice@example.com', ['alice@home.example']],
  ['ALICE@Example.com', ['alice@home.example']],
  ['bob@example.com', undefined],
  ['sales@example.com', ['alice@home.example', 'bob@example.com', 'carol@elsewhere.example']],
  ['all@example.com', ['alice@home.example', 'bob@example.com', 'carol@elsewhere.example', 'x@example.com']],
  ['postmaster@example.com', ['alice@home.example']],
  ['nobody@example.com', undefined],
  ['alice@example.org', undefined],
  ['alice@[192.0.2.1]', undefined],
]
test('targets are followed to their end', async () => {
  const directory = await read({
    'example.com/users/alice.toml': user('targets = ["alice@home.example"]'),
    'example.com/users/bob.toml': user(),
    'example.com/aliases.toml': [
      'sales = ["alice", "bob", "Alice@example.com", "carol@elsewhere.example"]',
      'all = ["sales@EXAMPLE.com", "bob", "x"]',
      'Postmaster = ["alice"]',
    ].join('\n'),
  })
  for (const [mailbox, targets] of ways)
    assert.deepEqual(directory.targets(parseMailbox(mailbox))?.map(formatMailbox), targets, mailbox)
  assert.deepEqual(directory.targets({ localPart: 'Postmaster', domain: '' })?.map(formatMailbox), [
    'alice@home.example',
  ])
})

test('members of a group may send as it, and as what it may', async () => {
  const directory = await read({
    'example.com/groups/sales.toml': 'members = ["alice", "bob@example.org"]\ntargets = ["alice"]',
    'example.com/groups/news.toml': 'members = ["alice"]\nsenders = ["*@news.example.com", "alice"]',
    'example.com/users/alice.toml': user('senders = ["info"]'),
    'example.com/users/carol.toml': user(),
    'example.org/users/bob.toml': user(),
  })
  const senders = (name: string) => directory.user(name)?.senders
  assert.deepEqual(senders('alice'), [
    'alice@example.com',
    'info@example.com',
    'sales@example.com',
    'news@example.com',
    '*@news.example.com',
  ])
  assert.deepEqual(senders('bob@example.org'), ['bob@example.org', 'sales@example.com'])
  assert.deepEqual(senders('carol'), ['carol@example.com'])
  assert.equal(directory.user('sales'), undefined)
  assert.deepEqual([...directory.groups.keys()], ['sales@example.com', 'news@example.com'])
  assert.deepEqual(directory.targets(parseMailbox('sales@example.com'))?.map(formatMailbox), [
    'alice@example.com',
  ])
})

test('limits: of the user, else of the domain', async () => {
  const reader = new Reader('example.com')
  const files = {
    'example.com/domain.toml': 'default_limits = { message_size = "1 MB", recipients_per_message = 9 }',
    'example.com/users/alice.toml': user('limits = { recipients_per_message = 99 }'),
    'example.com/users/bob.toml': user('suspended = "Call 555-0100"'),
    'example.org/users/carol.toml': user(),
    dora: original(),
  }
  const directory = await read(files, reader)
  assert.deepEqual(directory.user('alice')?.limits, { messageOctets: 1_000_000, recipientsPerMessage: 99 })
  assert.deepEqual(directory.user('bob')?.limits, { messageOctets: 1_000_000, recipientsPerMessage: 9 })
  assert.equal(directory.user('bob')?.suspended, 'Call 555-0100')
  assert.deepEqual(directory.user('dora')?.limits, { messageOctets: 1_000_000, recipientsPerMessage: 9 })
  assert.equal(directory.user('carol@example.org')?.limits, undefined)
  // The file of the domain changes, and no other.
  const later = await read({ ...files, 'example.com/domain.toml': '' }, reader)
  assert.deepEqual(later.user('alice')?.limits, { recipientsPerMessage: 99 })
  assert.equal(later.user('bob')?.limits, undefined)
})

const broken: [name: string, files: Files, says: string[]][] = [
  [
    'a member who is not there',
    {
      'example.com/users/alice.toml': user(),
      'example.com/groups/sales.toml': 'members = [\n  "alice",\n  "alice@example.org",\n]',
    },
    ['example.com/groups/sales.toml:3: members: there is no user alice@example.org'],
  ],
  [
    'a member whose file is broken: that alone',
    {
      'example.com/users/alice.toml': 'senders = []',
      'example.com/groups/sales.toml': 'members = ["alice"]',
    },
    ['example.com/users/alice.toml:1: password: it is missing'],
  ],
  [
    'a group that is a user, and one that is an alias',
    {
      'example.com/aliases.toml': 'sales = ["alice"]',
      'example.com/users/alice.toml': user(),
      'example.com/groups/alice.toml': 'members = []',
      'example.com/groups/sales.toml': 'members = []\ntargets = []',
    },
    [
      'example.com/groups/alice.toml:1: alice@example.com is already in example.com/users/alice.toml:1',
      'example.com/groups/sales.toml:2: sales@example.com is already in example.com/aliases.toml:1',
    ],
  ],
  [
    'a user in both layouts',
    { alice: original(), 'example.com/users/alice.toml': user() },
    ['example.com/users/alice.toml:1: alice@example.com is already in alice:1'],
  ],
  [
    'a user in two cases',
    { 'example.com/users/Alice.toml': user(), 'example.com/users/alice.toml': user() },
    ['example.com/users/alice.toml:1: alice@example.com is already in example.com/users/Alice.toml:1'],
  ],
  [
    'an alias that is a user',
    {
      'example.com/aliases.toml': '\nalice = ["bob"]',
      'example.com/users/alice.toml': user('', 'targets = ["x"]'),
    },
    ['example.com/users/alice.toml:3: alice@example.com is already in example.com/aliases.toml:2'],
  ],
  [
    'an alias of itself',
    { 'example.com/aliases.toml': '# loop\na = ["b"]\nb = ["x@y.example", "a"]' },
    ['example.com/aliases.toml:2: targets never end: a@example.com → b@example.com → a@example.com'],
  ],
  [
    'an alias that is no local-part',
    { 'example.com/aliases.toml': '"a@b" = []\n"" = ["x"]' },
    [
      'example.com/aliases.toml:1: "a@b" is not a local-part',
      'example.com/aliases.toml:2: "" is not a local-part',
    ],
  ],
  [
    'a file of no use',
    { 'example.com/user/alice.toml': user() },
    [
      "example.com/user/alice.toml:1: not a file of a domain's folder: example.com/ has domain.toml, aliases.toml, users/NAME.toml and groups/NAME.toml",
    ],
  ],
  [
    'octets',
    { 'example.com/users/alice.toml': Buffer.from([0x23, 0xff]) },
    ['example.com/users/alice.toml:1: the file is not UTF-8'],
  ],
]
for (const [name, files, says] of broken)
  test(`refused: ${name}`, async () => {
    assert.deepEqual(await problems(files), says)
  })

test('refused: a link, another repository, a file without end', async () => {
  const blobs = [
    { mode: '120000', oid: 'a', path: 'example.com/users/alice.toml', sizeOctets: 10 },
    { mode: '160000', oid: 'b', path: 'example.org', sizeOctets: 0 },
    { mode: '100644', oid: 'c', path: 'example.com/aliases.toml', sizeOctets: 5_000_000 },
  ]
  await assert.rejects(
    new Reader('example.com').read(COMMIT, blobs, async oids => {
      assert.deepEqual(oids, [])
      return []
    }),
    (error: DirectoryError) => {
      assert.match(error.message, /aliases\.toml:1: 5000000 octets/)
      assert.match(error.message, /alice\.toml:1: a symbolic link/)
      assert.match(error.message, /example\.org:1: another repository/)
      return true
    },
  )
})

test('targets of more than fifty steps are refused', async () => {
  const steps = Array.from({ length: 60 }, (_, step) => `a${step} = ["a${step + 1}"]`)
  assert.match(
    (await problems({ 'example.com/aliases.toml': steps.join('\n') }))[0] ?? '',
    /more than 50 steps/,
  )
})

test('limits: each key of the own file, then the default of the domain; totals and the signing budget', async () => {
  const directory = await read({
    'example.com/users/alice.toml': user('limits = { messages_per_day = 5 }'),
    'example.com/users/bob.toml': user(),
    'example.com/domain.toml':
      'signing_budget = 9\n[default_limits]\nmessages_per_day = 1\nrecipients_per_day = 2\n[total_limits]\nmessages_per_day = 8',
    'example.org/users/carol.toml': user(),
    'example.org/domain.toml': 'total_limits = { new_recipients_per_day = 3 }',
  })
  const of = (name: string) => [directory.user(name)?.limits, directory.user(name)?.domainLimits]
  assert.deepEqual(of('alice'), [{ messagesPerDay: 5, recipientsPerDay: 2 }, { messagesPerDay: 8 }])
  assert.deepEqual(of('bob'), [{ messagesPerDay: 1, recipientsPerDay: 2 }, { messagesPerDay: 8 }])
  assert.deepEqual(of('carol@example.org'), [undefined, { newRecipientsPerDay: 3 }])
  assert.deepEqual([...(directory.signingBudgets ?? [])], [['example.com', 9]])
})

test('an unchanged file is not read again; a changed, removed or broken one is seen', async () => {
  const reader = new Reader('example.com')
  const files: Files = { 'example.com/users/alice.toml': user(), 'example.com/users/bob.toml': user() }
  await read(files, reader)
  const asked: string[] = []
  const changed = { ...files, 'example.com/users/bob.toml': user('senders = ["sales"]') }
  assert.equal((await read(changed, reader, asked)).user('bob')?.senders.length, 2)
  assert.equal(asked.length, 1)
  await assert.rejects(read({ ...files, 'example.com/users/bob.toml': 'x' }, reader), DirectoryError)
  const fewer = { 'example.com/users/bob.toml': changed['example.com/users/bob.toml'] }
  assert.deepEqual([...(await read(fewer, reader)).users.keys()], ['bob@example.com'])
})
