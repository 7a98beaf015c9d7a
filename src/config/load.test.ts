import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, editDistance, formatProblem, loadConfig, parseConfig } from './load.ts'
import type { Config } from './schema.ts'

const FILE = '/etc/ptt/ptt.toml'
const MINIMAL = 'domain = "example.com"\n'
const OAUTH = `${MINIMAL}[submission.oauth]\nissuer = "https://i.test"\naudience = "mail"\n`

function problemsOf(toml: string): [line: number | null, key: string, message: string][] {
  try {
    parseConfig(toml, FILE)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(({ line, key, message }) => [line, key, message])
  }
  return []
}

test('the domain is enough', () => {
  const { submission, signer, relay, directory, hop, postmaster, send } = parseConfig(MINIMAL, FILE)
  assert.equal(postmaster, 'postmaster@example.com')
  assert.equal(hop.ca, '/etc/ptt/hop/ca.pem')
  assert.deepEqual(directory, {
    repository: '/etc/ptt/users.git',
    branch: 'main',
    intervalMs: 5000,
    require: 'fast-forward',
    alarmAfterMs: 900_000,
  })
  assert.deepEqual(submission.listen, { host: '::', port: 465 })
  assert.equal(submission.hostname, 'mail.example.com')
  assert.equal(submission.clone, '/etc/ptt/clones/submission.git')
  assert.equal(submission.maxMessageOctets, 25 * 1024 * 1024)
  assert.deepEqual(signer.key, [])
  assert.equal(signer.state, '/etc/ptt/dkim')
  assert.deepEqual(signer.algorithms, ['rsa-sha256', 'ed25519-sha256'])
  assert.equal('seed' in signer, false)
  assert.equal(signer.zone, 'example.com')
  assert.equal(signer.ttlSeconds, 3600)
  assert.equal(relay.expireMs, 5 * 86_400_000)
  assert.deepEqual(relay.resolver, [{ host: '127.0.0.1', port: 53 }])
  assert.equal(send, undefined)
})

const readings: [toml: string, read: (config: Config) => unknown, expected: unknown][] = [
  ['domain = "Example.COM."', c => c.domain, 'example.com'],
  ['domain = "bücher.example"', c => c.domain, 'xn--bcher-kva.example'],
  [`${MINIMAL}[hop]\nca = "/srv/ca.pem"`, c => c.hop.ca, '/srv/ca.pem'],
  [`${MINIMAL}[hop]\nca = "../ca.pem"`, c => c.hop.ca, '/etc/ca.pem'],
  [`${MINIMAL}hop.ca = "ca.pem"`, c => c.hop.ca, '/etc/ptt/ca.pem'],
  [`${MINIMAL}hop = { ca = "ca.pem" }`, c => c.hop.ca, '/etc/ptt/ca.pem'],
  [
    `${MINIMAL}directory.repository = "https://git.example.com/u.git"`,
    c => c.directory.repository,
    'https://git.example.com/u.git',
  ],
  [`${MINIMAL}directory.repository = "https://git.example.com/u.git"`, c => c.directory.intervalMs, 30_000],
  [
    `${MINIMAL}directory.repository = "git@git.example.com:u.git"`,
    c => c.directory.repository,
    'git@git.example.com:u.git',
  ],
  [`${MINIMAL}directory.repository = "git@git.example.com:u.git"`, c => c.directory.intervalMs, 30_000],
  [`${MINIMAL}directory.repository = "file:///srv/u.git"`, c => c.directory.repository, 'file:///srv/u.git'],
  [`${MINIMAL}directory.repository = "file:///srv/u.git"`, c => c.directory.intervalMs, 5000],
  [
    `${MINIMAL}directory = { repository = "ssh://h/u.git", interval = "1m" }`,
    c => c.directory.intervalMs,
    60_000,
  ],
  [
    `${MINIMAL}[directory]\nrequire = "signed"\nallowed_signers = "signers"`,
    c => [c.directory.require, c.directory.allowedSigners, c.directory.keyring],
    ['signed', '/etc/ptt/signers', undefined],
  ],
  [`${MINIMAL}submission.max_message_size = "512 KiB"`, c => c.submission.maxMessageOctets, 524_288],
  [`${MINIMAL}submission.max_message_size = "1.5MB"`, c => c.submission.maxMessageOctets, 1_500_000],
  [`${MINIMAL}submission.listen = "127.0.0.1:0"`, c => c.submission.listen, { host: '127.0.0.1', port: 0 }],
  [`${MINIMAL}submission.listen = "::1"`, c => c.submission.listen, { host: '::1', port: 465 }],
  [
    `${MINIMAL}submission.signer = "signer.lan"`,
    c => c.submission.signer,
    { host: 'signer.lan', port: 2525 },
  ],
  [`${MINIMAL}signer.seed = "seed"`, c => c.signer.seed, { kind: 'file', path: '/etc/ptt/seed' }],
  [`${MINIMAL}signer.seed = "fd:3"`, c => c.signer.seed, { kind: 'descriptor', descriptor: 3 }],
  [`${MINIMAL}signer.key = "dkim/a.pem"`, c => c.signer.key, [{ kind: 'file', path: '/etc/ptt/dkim/a.pem' }]],
  [
    `${MINIMAL}signer.key = ["credential:rsa", "credential:b"]`,
    c => c.signer.key,
    [
      { kind: 'credential', credential: 'rsa' },
      { kind: 'credential', credential: 'b' },
    ],
  ],
  [`${MINIMAL}signer.algorithms = ["ed25519"]`, c => c.signer.algorithms, ['ed25519-sha256']],
  [`${MINIMAL}signer.rotate = "never"`, c => c.signer.rotateMs, null],
  [`${MINIMAL}signer.rotate = "0s"`, c => c.signer.rotateMs, null],
  [`${MINIMAL}signer.ttl = "90s"`, c => c.signer.ttlSeconds, 90],
  [`${MINIMAL}signer.expiration = "7d"`, c => c.signer.expirationMs, 604_800_000],
  [`${MINIMAL}relay.resolver = "192.0.2.1"`, c => c.relay.resolver, [{ host: '192.0.2.1', port: 53 }]],
  [
    MINIMAL,
    c => c.submission.auth,
    ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'OAUTHBEARER', 'XOAUTH2', 'EXTERNAL', 'PLAIN', 'LOGIN'],
  ],
  [MINIMAL, c => ['oauth' in c.submission, 'clientCa' in c.submission], [false, false]],
  [`${MINIMAL}submission.auth = ["SCRAM-SHA-1"]`, c => c.submission.auth, ['SCRAM-SHA-1']],
  [`${MINIMAL}submission.client_ca = "ca.pem"`, c => c.submission.clientCa, '/etc/ptt/ca.pem'],
  [`${OAUTH}jwks = "keys.json"`, c => c.submission.oauth?.jwks, '/etc/ptt/keys.json'],
  [`${OAUTH}jwks = "https://i.test/k"`, c => c.submission.oauth?.jwks, 'https://i.test/k'],
  [
    `${OAUTH}jwks = "/k"\nusername_claim = "sub"\nscope = "smtp"`,
    c => c.submission.oauth,
    { issuer: 'https://i.test', audience: 'mail', jwks: '/k', usernameClaim: 'sub', scope: 'smtp' },
  ],
  [`${MINIMAL}relay.retry = ["500ms", "1.5h"]`, c => c.relay.retryMs, [500, 5_400_000]],
  [
    `${MINIMAL}[send]\nusername = "alice"\npassword_file = "p"`,
    c => c.send,
    { server: { host: '127.0.0.1', port: 465 }, username: 'alice', passwordFile: '/etc/ptt/p' },
  ],
]
for (const [toml, read, expected] of readings) {
  test(`reads ${toml.replace(MINIMAL, '').replaceAll('\n', ' ')}`, () => {
    assert.deepEqual(read(parseConfig(toml, FILE)), expected)
  })
}

const DURATION = 'write a number and a unit, such as "500ms", "30s", "5m", "4h" or "5d"'
const complaints: [toml: string, line: number | null, key: string, message: string | RegExp][] = [
  ['', null, 'domain', 'is missing: write a name such as "example.com"'],
  [
    'domain = "not a domain"',
    1,
    'domain',
    '"not a domain" is not a domain name: write a name such as "example.com"',
  ],
  ['\n\ndomain = "x', 3, '', 'column 10: unfinished string'],
  [`${MINIMAL}domain = "example.net"`, 2, '', /^column 1: .*redefine/],
  [
    `${MINIMAL}\n[submision]\nidle = "1m"`,
    3,
    'submision',
    'there is no such key: did you mean "submission"?',
  ],
  [
    `${MINIMAL}[submission]\n\nhop-wait = "1m"`,
    4,
    'submission.hop-wait',
    'there is no such key: did you mean "hop_wait"?',
  ],
  [`${MINIMAL}[hop]\nzzz = 1`, 3, 'hop.zzz', 'there is no such key: [hop] has ca'],
  [`${MINIMAL}signer = 4`, 2, 'signer', '4 is not a table: write [signer] and its keys below'],
  [`${MINIMAL}[[relay]]`, 2, 'relay', /is not a table/],
  [
    `${MINIMAL}[submission]\nidle = 300`,
    3,
    'submission.idle',
    `300 is not a duration of 1ms to 24d: ${DURATION}`,
  ],
  [
    `${MINIMAL}[submission]\nidle = "5 minutes"`,
    3,
    'submission.idle',
    `"5 minutes" is not a duration of 1ms to 24d: ${DURATION}`,
  ],
  [
    `${MINIMAL}[relay]\n# five\nretry = [\n  "5m",\n  "soon",\n]`,
    4,
    'relay.retry',
    `"soon" is not a duration: ${DURATION}`,
  ],
  // Either would have git at work without a pause: a timer counts to 2³¹-1 milliseconds.
  [
    `${MINIMAL}[directory]\ninterval = "30d"`,
    3,
    'directory.interval',
    `"30d" is not a duration of 1ms to 24d: ${DURATION}`,
  ],
  [`${MINIMAL}[directory]\ninterval = "0s"`, 3, 'directory.interval', /^"0s" is not a duration of 1ms/],
  [`${MINIMAL}[timeouts]\ndata = "25d"`, 3, 'timeouts.data', /^"25d" is not a duration of 1ms to 24d/],
  [
    `${MINIMAL}[signer]\nzone = "example.net"`,
    3,
    'signer.zone',
    `does not hold the key's name: write "example.com", or a zone above it`,
  ],
  [`${MINIMAL}[relay]\nresolver = []`, 3, 'relay.resolver', /^is empty: write/],
  [`${MINIMAL}[relay]\nretry = []`, 3, 'relay.retry', /^is empty: write/],
  [
    `${MINIMAL}[relay]\nconcurrency = 2.5`,
    3,
    'relay.concurrency',
    '2.5 is not possible here: write a whole number from 1 to 1000',
  ],
  [
    `${MINIMAL}[relay]\nengine = "cluster"`,
    3,
    'relay.engine',
    '"cluster" is not possible here: write "embedded" or "memory"',
  ],
  [
    `${MINIMAL}[relay]\nsigner = "127.0.0.1:0"`,
    3,
    'relay.signer',
    /^"127.0.0.1:0" is not an address and a port/,
  ],
  [`${MINIMAL}[relay]\nsigner = "127.0.0:25"`, 3, 'relay.signer', /is not an address and a port/],
  [`${MINIMAL}[relay]\nsigner = "[::1:25"`, 3, 'relay.signer', /is not an address and a port/],
  [`${MINIMAL}[relay]\nsigner = "::1::2"`, 3, 'relay.signer', /is not an address and a port/],
  [
    `${MINIMAL}[relay]\nlisten = 25`,
    3,
    'relay.listen',
    /^25 is not an address and a port: write for example "127.0.0.1:2526"/,
  ],
  [
    `${MINIMAL}[signer]\nseed = "s"\nkey = "k"`,
    3,
    'signer.seed',
    'there is a key as well: write key or seed, not both',
  ],
  [
    `${MINIMAL}[directory]\nrequire = "signed"`,
    3,
    'directory.require',
    'nobody may sign: name them in allowed_signers or keyring',
  ],
  [
    `${MINIMAL}[directory]\nkeyring = "k"`,
    3,
    'directory.keyring',
    'signatures are not asked for: write require = "signed" as well',
  ],
  [
    `${MINIMAL}[signer]\nbits = 1024`,
    3,
    'signer.bits',
    '1024 is not possible here: write 2048 or 3072 or 4096',
  ],
  [
    `${MINIMAL}[send]\nusername = "a"`,
    2,
    'send.password_file',
    'is missing: write the path of a file in quotes',
  ],
  [
    `${MINIMAL}[submission]\nauth = ["PLAIN", "CRAM-MD5"]`,
    3,
    'submission.auth',
    /^"CRAM-MD5" is not possible here: write "SCRAM-SHA-256-PLUS" or /,
  ],
  [`${MINIMAL}[submission]\nauth = []`, 3, 'submission.auth', /^is empty: nobody could sign in/],
  [`${MINIMAL}[submission]\nauth = "PLAIN"`, 3, 'submission.auth', /^"PLAIN" is not a list of mechanisms/],
  [`${OAUTH}`, 2, 'submission.oauth.jwks', 'is missing: write the path of a file, or an https:// URL'],
  [
    `${OAUTH}jwks = "http://i.test/k"`,
    5,
    'submission.oauth.jwks',
    /^"http:.* is not a JSON Web Key Set: write/,
  ],
  [`${MINIMAL}postmaster = "nobody"`, 2, 'postmaster', /^"nobody" is not a mailbox: write an address/],
]
for (const [toml, line, key, message] of complaints) {
  test(`complains about ${toml.replace(MINIMAL, '').replaceAll('\n', ' ') || 'an empty file'}`, () => {
    const [problem, ...others] = problemsOf(toml)
    assert.deepEqual(others, [])
    assert.deepEqual(problem?.slice(0, 2), [line, key])
    if (typeof message === 'string') assert.equal(problem?.[2], message)
    else assert.match(problem?.[2] ?? '', message)
  })
}

test('all problems are told at once, in the order of the file', () => {
  const toml = `domain = 7
[signer]
ttl = "x"
seed = "a"
key = "b"
[submission]
idel = "1m"
hop_wait = "x"
`
  assert.deepEqual(
    problemsOf(toml).map(([line, key]) => [line, key]),
    [
      [1, 'domain'],
      [3, 'signer.ttl'],
      [4, 'signer.seed'],
      [7, 'submission.idel'],
      [8, 'submission.hop_wait'],
    ],
  )
})

test('a file that is not there', () => {
  assert.throws(() => loadConfig('/nonexistent/ptt.toml'), {
    message: '/nonexistent/ptt.toml: there is no such file: make one with `ptt init`',
  })
})

test('a problem is one line', () => {
  const problem = { file: FILE, line: 12, key: 'submission.idle', message: 'is wrong' }
  assert.equal(formatProblem(problem), '/etc/ptt/ptt.toml:12: submission.idle: is wrong')
  assert.equal(
    formatProblem({ ...problem, file: `${process.cwd()}/ptt.toml` }),
    'ptt.toml:12: submission.idle: is wrong',
  )
  assert.equal(formatProblem({ ...problem, line: null }), '/etc/ptt/ptt.toml: submission.idle: is wrong')
})

const distances: [one: string, other: string, distance: number][] = [
  ['', '', 0],
  ['listen', 'listen', 0],
  ['listen', 'lisen', 1],
  ['listen', 'lisetn', 1],
  ['listen', 'silent', 4],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
]
for (const [one, other, distance] of distances) {
  test(`from "${one}" to "${other}" are ${distance} steps`, () => {
    assert.equal(editDistance(one, other), distance)
    assert.equal(editDistance(other, one), distance)
  })
}
