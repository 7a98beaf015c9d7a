import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse } from 'smol-toml'
import { addressOf } from '../names.ts'
import { formatVerifier, makeVerifier, parseVerifier, verifyPassword } from '../password.ts'
import { readCsv } from './csv.ts'
import type { Imported } from './imported.ts'
import { readOriginal } from './original.ts'
import { readPostfixVirtual } from './postfix-virtual.ts'

const aliases = ({ aliases, domains }: Imported) => [
  Object.fromEntries(aliases.map(({ mailbox, targets }) => [addressOf(mailbox), targets])),
  domains,
]

test('postfix-virtual: what virtual(5) says', () => {
  const text = [
    '# comment',
    'example.org    anything',
    '',
    'postmaster@Example.ORG  alice',
    'sales@example.org alice@example.com,',
    '    bob@example.com',
    '  # not a continuation',
    '    carol@elsewhere.example',
    'info              "first last"@example.com',
    '"a b"@example.org alice dora',
  ].join('\n')
  assert.deepEqual(aliases(readPostfixVirtual('virtual', text, 'example.com')), [
    {
      'postmaster@example.org': ['alice@example.com'],
      'sales@example.org': ['alice@example.com', 'bob@example.com', 'carol@elsewhere.example'],
      'info@example.com': ['"first last"@example.com'],
      '"a b"@example.org': ['alice@example.com', 'dora@example.com'],
    },
    ['example.org', 'example.com'],
  ])
})

const refusedAliases: [text: string, says: RegExp][] = [
  ['@example.org alice', /virtual:1: @example\.org: an address for everything in a domain is not supported/],
  ['a@b@c alice', /virtual:1: "a@b@c" is not an address/],
  ['\na@example.org |program', /virtual:2: "\|program" is not a mailbox: programs/],
  ['a@example.org @example.com', /virtual:1: "@example\.com" is not a mailbox/],
  ['a@example.org', /virtual:1: it leads nowhere/],
  ['a@example.org b\nA@EXAMPLE.org c', /virtual:2: a@example\.org is already in line 1/],
  ['a@example.com a', /virtual:1: a@example\.com leads to itself/],
  [
    'first.last alice',
    /virtual:1: "first\.last": a domain, or a local-part\? Write first\.last@example\.com/,
  ],
]
for (const [text, says] of refusedAliases)
  test(`postfix-virtual, refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => readPostfixVirtual('virtual', text, 'example.com'), says)
  })

const hash = formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))
const keysOf = ({ users }: Imported) =>
  users.map(({ mailbox, path, text }) => {
    const { password: _, ...keys } = parse(text)
    return [addressOf(mailbox), path, JSON.parse(JSON.stringify(keys))]
  })
const passwordOf = ({ users }: Imported, index: number) =>
  parseVerifier(String(parse(users[index]?.text ?? '').password))

test('csv: users with passwords in clear and verifiers', async () => {
  const text = [
    '\ufeffEmail,Password,Senders,Targets,Suspended,message_size,recipients_per_message',
    'Alice,"correct ""horse"", battery",sales *@news.example.com,alice@home.example,,10 MiB,50',
    `bob@example.org,${hash},,,"Call, please",,`,
    '',
  ].join('\r\n')
  const read = await readCsv('users.csv', text, 'example.com')
  assert.deepEqual(keysOf(read), [
    [
      'alice@example.com',
      'example.com/users/alice.toml',
      {
        senders: ['sales', '*@news.example.com'],
        targets: ['alice@home.example'],
        limits: { message_size: '10 MiB', recipients_per_message: 50 },
      },
    ],
    ['bob@example.org', 'example.org/users/bob.toml', { suspended: 'Call, please' }],
  ])
  assert.equal(await verifyPassword(passwordOf(read, 0), 'correct "horse", battery'), true)
  assert.equal(formatVerifier(passwordOf(read, 1)), hash)
  assert.deepEqual(read.domains, ['example.com', 'example.org'])
  const semicolons = await readCsv('f', 'user;password\nalice;a, b\n', 'example.com')
  assert.equal(await verifyPassword(passwordOf(semicolons, 0), 'a, b'), true)
})

const refusedUsers: [text: string, says: RegExp][] = [
  ['user,passwort\n', /f:1: there is no column passwort.*\n.*f:1: the column password is missing/],
  ['user,password\nalice,x,y', /f:2: 3 fields, and the head has 2/],
  ['user,password\nalice,hunter2\na b@@c,hunter2', /f:3: "a b@@c" is not a user's address/],
  ['user,password\nalice,$2y$10$hunter2', /f:2: password: this kind of hash is not supported/],
  ['user,password\nalice,{SSHA}hunter2', /f:2: password: this kind of hash/],
  [`user,password\nalice,${'a'.repeat(128)}`, /f:2: password: weak hash: BLAKE2B-512/],
  [`user,password\nalice,${'a'.repeat(32)}`, /f:2: password: weak hash: 128 bits in hex/],
  ['user,password\nalice,', /f:2: password: not usable as a password/],
  ['user,password\n"alice\nx",y\nbob,"', /f:2: "alice\\nx" is not a user's address\n.*f:4: 0 fields/],
  ['user,password\nalice,a\nAlice,b', /alice@example\.com is there twice/],
]
for (const [text, says] of refusedUsers)
  test(`csv, refused: ${JSON.stringify(text.slice(0, 60))}`, async () => {
    await assert.rejects(readCsv('f', text, 'example.com'), (error: Error) => {
      assert.match(error.message, says)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    })
  })

const folder = mkdtempSync(join(tmpdir(), 'ptt-import-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('original: a folder of users', async () => {
  const user = JSON.stringify({ targets: ['a@home.example'], password: 'a'.repeat(128), insecure: false })
  writeFileSync(join(folder, 'alice'), user)
  writeFileSync(join(folder, 'README.md'), 'Users')
  const { users } = await readOriginal(folder, 'example.com')
  assert.deepEqual(
    users.map(({ mailbox, path, text }) => [addressOf(mailbox), path, text]),
    [['alice@example.com', 'alice', user]],
  )
  writeFileSync(join(folder, 'bob'), '{"targets": [],\n"password": "hunter2"}')
  await assert.rejects(
    readOriginal(folder, 'example.com'),
    /^EditError: nothing was imported:\nbob:2: password: not/,
  )
})
