import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { formatVerifier, makeVerifier } from './password.ts'
import { Schema } from './schema.ts'

const scram = formatVerifier(await makeVerifier('pencil', { iterations: 4096 }))
const blake2b = createHash('blake2b512').update('pencil').digest('hex')
const schema = new Schema('example.com')
const password = `password = "${scram}"\n`

const SHA_1 = 'SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE='

test('a verifier for SCRAM-SHA-1 stands behind the other', () => {
  const read = (text: string) => {
    const parsed = schema.user('f', `password = ${text}`)
    return parsed.ok ? parsed.value.password : parsed.problems.map(({ rule }) => rule)
  }
  const both = read(`["${scram}", "${SHA_1}"]`)
  assert.ok('verifier' in both && both.sha1Verifier !== undefined)
  assert.equal(formatVerifier(both.verifier), scram)
  assert.equal(formatVerifier(both.sha1Verifier), SHA_1)
  const one = read(`["${scram}"]`)
  assert.ok('verifier' in one && one.sha1Verifier === undefined)
  assert.match(String(read(`["${SHA_1}"]`)), /^password: a SCRAM-SHA-1 verifier stands behind another/)
  assert.match(String(read(`["${scram}", "${scram}"]`)), /^password: malformed second verifier/)
  assert.match(String(read(`["${scram}", 1]`)), /^password: malformed second verifier/)
  assert.match(String(read(`["${scram}", "${SHA_1}", "${SHA_1}"]`)), /^password: write a string$/)
  assert.match(String(read('[]')), /^password: write a string$/)
})

const senders: [written: string, read: string | null][] = [
  ['alice', 'alice@example.com'],
  ['Alice@EXAMPLE.com', 'alice@example.com'],
  ['*@example.com', '*@example.com'],
  ['*@news.example.com', '*@news.example.com'],
  ['"a b"@example.com', '"a b"@example.com'],
  ['*', null],
  ['a*@example.com', null],
  ['*@', null],
  ['@example.com', null],
  ['', null],
  ['a b', null],
  ['alice@[192.0.2.1]', null],
  ['alice@example.org', null],
  ['*@badexample.com', null],
  ['*@com', null],
]
for (const [written, read] of senders)
  test(`sender ${written}`, () => {
    const parsed = schema.user('f', `${password}senders = ['${written}']`)
    assert.deepEqual(parsed.ok ? parsed.value.senders : null, read === null ? null : [read])
  })

test('a sender in another form of the domain', () => {
  const parsed = new Schema('xn--bcher-kva.example').user(
    'f',
    `${password}senders = ["*@news.bücher.example"]`,
  )
  assert.deepEqual(parsed.ok && parsed.value.senders, ['*@news.xn--bcher-kva.example'])
})

const refused: [name: string, text: string, line: number, rule: RegExp][] = [
  ['no password', 'senders = []', 1, /^password: it is missing$/],
  ['a password in clear', '\npassword = "hunter2"', 2, /^password: not a verifier/],
  ['a legacy hash', `password = "${blake2b}"`, 1, /^password: weak hash: BLAKE2B-512/],
  ['a number', 'password = 1', 1, /^password: write a string$/],
  ['few iterations', password.replace('4096', '1000'), 1, /weak hash: 1000 iterations/],
  ['an unknown key', `# alice\n${password}\nsender = ["alice"]`, 4, /^there is no key "sender" here$/],
  [
    'no messages at all',
    `${password}[limits]\nmessages_per_day = 0`,
    3,
    /^limits.messages_per_day: write a whole number from 1$/,
  ],
  [
    'a limit a day as a string, inline',
    `${password}limits = { new_recipients_per_day = "5" }`,
    2,
    /^limits.new_recipients_per_day: write a whole number from 1$/,
  ],
  [
    'a size without unit',
    `${password}limits = { message_size = 10 }`,
    2,
    /^limits.message_size: write a number/,
  ],
  ['no size', `${password}[limits]\n\nmessage_size = "0 B"`, 4, /^limits.message_size: write a number/],
  [
    'no count',
    `${password}[limits]\nrecipients_per_message = 0.5`,
    3,
    /^limits.recipients_per_message: write a/,
  ],
  ['limits that are none', `${password}limits = [1]`, 2, /^limits: write a table/],
  ['another limit', `${password}limits.colour = 1`, 2, /^there is no key "limits.colour" here$/],
  ['suspended without a reason', `${password}suspended = ""`, 2, /^suspended: write why/],
  ['suspended: yes', `${password}suspended = true`, 2, /^suspended: write a string$/],
  ['a reason of two lines', `${password}suspended = "a\\nb"`, 2, /^suspended: write why/],
  ['no list', `${password}senders = "alice"`, 2, /^senders: write a list/],
  ['no text', `${password}senders = ["a",\n  1]`, 3, /^senders: write each in quotes$/],
  [
    'a sender outside',
    `${password}senders = [\n  "a", # "x"\n  "b@example.org",\n]`,
    4,
    /^senders: "b@example.org" is outside/,
  ],
  ['a bad target', `${password}targets = ["a@b@c"]`, 2, /^targets: "a@b@c" is not a mailbox/],
  ['an open text', 'password = "hunter2\nx = 1', 1, /^not TOML: control characters/],
  ['a key twice', `${password}${password}`, 2, /^not TOML: .*redefine/],
]
for (const [name, text, line, rule] of refused)
  test(`a user's file with ${name}`, () => {
    const parsed = schema.user('example.com/users/alice.toml', text)
    assert.ok(!parsed.ok)
    assert.equal(parsed.problems.length, 1)
    const [problem] = parsed.problems
    assert.equal(problem?.file, 'example.com/users/alice.toml')
    assert.match(problem?.rule ?? '', rule)
    assert.equal(problem?.line, line)
    assert.doesNotMatch(problem?.rule ?? '', /hunter2/)
  })

test('every problem of a file is told', () => {
  const parsed = schema.user('f', 'password = "x"\nsenders = ["a@b.example", "*"]\nlimits = 1\ncolour = 2')
  assert.deepEqual(!parsed.ok && parsed.problems.map(({ line }) => line).toSorted(), [1, 2, 2, 3, 4])
})

const originals: [text: string, problem: [line: number, rule: RegExp] | null][] = [
  [`{"targets":["alice@home.example"],"password":"${blake2b}","insecure":false}`, null],
  [`{"targets":[],"password":"${blake2b}"}`, null],
  [`{"targets":[],"password":"${scram}"}`, null],
  [
    `{"targets":[],\n"password":"${blake2b}",\n"insecure":true}`,
    [3, /^insecure: submission without TLS is never/],
  ],
  [`{\n"targets":[],\n"password":"hunter2"}`, [3, /^password: not a verifier/]],
  [`{"targets":["a", 1],"password":"${blake2b}"}`, [1, /^targets: write each in quotes/]],
  [`{"password":"${blake2b}"}`, [1, /^targets: it is missing/]],
  [`{"targets":[],"password":"${blake2b}","senders":[]}`, [1, /^there is no key "senders" here/]],
  ['{"targets":\nhunter2', [2, /^not JSON/]],
  ['', [1, /^not JSON/]],
  ['[]', [1, /^this is not a table/]],
]
for (const [text, problem] of originals)
  test(`original layout: ${text.slice(0, 40).replace(/\n/g, ' ')}…`, () => {
    const parsed = schema.original('alice', text)
    const found = parsed.ok ? undefined : parsed.problems[0]
    assert.equal(parsed.ok, problem === null)
    assert.equal(found?.line, problem?.[0])
    assert.match(found?.rule ?? '', problem?.[1] ?? /^$/)
    assert.doesNotMatch(found?.rule ?? '', /hunter2/)
  })

test('aliases', () => {
  const parsed = schema.aliases('f', 'sales = ["alice", "bob@elsewhere.example"]\n"first.last" = []')
  assert.deepEqual(parsed.ok && parsed.value, {
    sales: [
      { localPart: 'alice', domain: 'example.com' },
      { localPart: 'bob', domain: 'elsewhere.example' },
    ],
    'first.last': [],
  })
  const dotted = schema.aliases('f', '\nfirst.last = ["alice"]')
  assert.match((!dotted.ok && dotted.problems[0]?.rule) || '', /in quotes, "first.last"/)
  assert.equal(!dotted.ok && dotted.problems[0]?.line, 2)
  assert.equal(schema.aliases('f', '__proto__ = ["alice"]').ok, false)
})

test('limits and a suspension', () => {
  const read = (text: string) => {
    const parsed = schema.user('f', `${password}${text}`)
    return parsed.ok && [parsed.value.limits, parsed.value.suspended]
  }
  assert.deepEqual(read(''), [undefined, undefined])
  assert.deepEqual(read('limits = {}'), [{}, undefined])
  assert.deepEqual(read('[limits]\nmessage_size = "1.5 MiB"'), [{ messageOctets: 1_572_864 }, undefined])
  assert.deepEqual(read('limits.recipients_per_message = 5\nsuspended = "Call 555-0100"'), [
    { recipientsPerMessage: 5 },
    'Call 555-0100',
  ])
  const perDay =
    'limits = { messages_per_day = 1000, recipients_per_day = 2000, new_recipients_per_day = 200 }'
  assert.deepEqual(read(perDay), [
    { messagesPerDay: 1000, recipientsPerDay: 2000, newRecipientsPerDay: 200 },
    undefined,
  ])
})

test('a group', () => {
  const read = (text: string) => {
    const parsed = schema.group('f', text)
    return parsed.ok ? parsed.value : parsed.problems.map(({ line, rule }) => [line, rule])
  }
  assert.deepEqual(read('members = ["Alice", "bob@Example.org"]\nsenders = ["*@news.example.com"]'), {
    members: ['alice@example.com', 'bob@example.org'],
    senders: ['*@news.example.com'],
    targets: [],
  })
  assert.deepEqual(read('\nsenders = ["x@example.org"]'), [
    [1, 'members: it is missing'],
    [2, 'senders: "x@example.org" is outside example.com: a sender is in the folder\'s domain or beneath it'],
  ])
  assert.deepEqual(read('members = [\n"alice", # first\n"a b"]'), [
    [3, 'members: "a b" is not a user: write alice, or alice@example.com'],
  ])
  assert.deepEqual(read('members = []\npassword = "x"'), [[2, 'there is no key "password" here']])
})

test('domain.toml', () => {
  assert.equal(schema.domain('f', '# ours\n').ok, true)
  const limited = schema.domain('f', '[default_limits]\nrecipients_per_message = 10')
  assert.deepEqual(limited.ok && limited.value, { default_limits: { recipientsPerMessage: 10 } })
  const whole = schema.domain(
    'f',
    'signing_budget = 7\nsign = "never"\nselector = "m.{date}-{random}"\n[default_limits]\nmessages_per_day = 1\n[total_limits]\nrecipients_per_day = 2',
  )
  assert.deepEqual(whole.ok && whole.value, {
    default_limits: { messagesPerDay: 1 },
    total_limits: { recipientsPerDay: 2 },
    signing_budget: 7,
    sign: 'never',
    selector: 'm.{date}-{random}',
  })
  for (const [text, rule] of [
    ['selector = "-{date}"', /^selector: write letters, digits, hyphens, \{selector\}/],
    ['selector = "{day}"', /^selector: write letters/],
    ['sign = "always"', /^sign: write "never"/],
    ['total_limits = { message_size = "1 MB" }', /no key "total_limits.message_size"/],
    ['total_limits = { messages_per_day = -1 }', /^total_limits.messages_per_day: write a whole number/],
    ['signing_budget = "100"', /^signing_budget: write a whole number/],
    ['colour = 1', /no key "colour"/],
  ] as const) {
    const parsed = schema.domain('f', `\n${text}`)
    assert.match((!parsed.ok && parsed.problems[0]?.rule) || '', rule)
    assert.equal(!parsed.ok && parsed.problems[0]?.line, 2)
  }
})

test('app passwords: under the salt of the password', async () => {
  const own = await makeVerifier('pencil', { iterations: 4096 })
  const phone = formatVerifier(await makeVerifier('phone', own))
  const stranger = formatVerifier(await makeVerifier('phone', { iterations: 4096 }))
  const longer = formatVerifier(await makeVerifier('phone', { ...own, iterations: 4097 }))
  const read = (...lines: string[]) => {
    const parsed = schema.user('f', [`password = "${formatVerifier(own)}"`, ...lines].join('\n'))
    return parsed.ok
      ? parsed.value.app_passwords?.map(({ name }) => name)
      : parsed.problems.map(({ line, rule }) => `${line} ${rule.slice(0, 56)}`)
  }
  const table = (name: string, verifier = phone) => ['', '[app_passwords]', `${name} = "${verifier}"`]
  assert.deepEqual(read(...table('phone'), `"her printer" = "${phone}"`), ['phone', 'her printer'])
  assert.deepEqual(read(...table('phone', stranger)), [
    '4 app_passwords.phone: its salt and iterations must be tho',
  ])
  assert.deepEqual(read(...table('phone', longer)), [
    '4 app_passwords.phone: its salt and iterations must be tho',
  ])
  assert.deepEqual(read(...table('phone', 'hunter2')), [
    '4 app_passwords.phone: not a verifier (a password in clear',
  ])
  assert.deepEqual(read(...table('phone', blake2b)), [
    '4 app_passwords.phone: weak hash: ptt user app-password ad',
  ])
  assert.match(String(read(...table('""'))), /its name has 1 to 64 characters/)
  assert.match(String(read(...table('"a\\nb"'))), /its name has 1 to 64 characters/)
  const eleven = Array.from({ length: 11 }, (_, index) => `p${index} = "${phone}"`)
  assert.match(String(read('[app_passwords]', ...eleven)), /^2 app_passwords: more than 10: remove those/)
})
