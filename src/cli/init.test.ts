import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { startDnsPeer } from '../../test/peers/dns.ts'
import { need, which } from '../../test/peers/need.ts'
import { loadConfig } from '../config/load.ts'
import { readRepository } from '../directory/edit.ts'
import { verifyPassword } from '../directory/password.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { askPrimary } from '../net/nsupdate.ts'
import { KeyFolder } from '../signer/key-folder.ts'
import { keysFromPem } from '../signer/key-store.ts'
import { publishKey } from '../signer/publish.ts'
import { issue, makeAuthority } from './authority.ts'
import { type CheckOptions, checkFiles } from './check.ts'
import { type Deployment, initialize } from './init.ts'
import { bindSnippet, knotSnippet, nextSteps } from './next-steps.ts'
import { renewHops } from './renew.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-init-'))
after(() => rmSync(folder, { recursive: true }))

const DAY_MS = 86_400_000

let count = 0
function make(more: Partial<Parameters<typeof initialize>[0]> = {}): Promise<Deployment> {
  return initialize({ dir: join(folder, String(count++)), domain: 'example.com', ...more })
}

/** What `ptt config check` finds, without the folder: `key: message`. */
async function findings(
  { file, config }: Deployment,
  options: Partial<CheckOptions> = {},
): Promise<string[]> {
  const toml = readFileSync(file, 'utf8')
  const { errors, warnings } = await checkFiles(config, { toml, nowMs: Date.now(), ...options })
  const dir = file.slice(0, -'ptt.toml'.length)
  return [
    ...errors.map(({ key, message }) => `${key}: ${message.replaceAll(dir, '')}`),
    ...warnings.map(({ key, message }) => `(${key}: ${message.replaceAll(dir, '')})`),
  ]
}

function files(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).flatMap(entry =>
    entry.isFile() && !entry.parentPath.includes('users.git') ? [join(entry.parentPath, entry.name)] : [],
  )
}

test('a deployment is whole: nothing is wrong with it, and its first user is in force', async t => {
  if (!need(t, 'git')) return
  const deployment = await make({ user: { name: 'alice', password: 'correct horse' } })
  const { file, config, user, tsigKey, authorityKey } = deployment
  assert.deepEqual(await findings(deployment), [])
  assert.deepEqual(loadConfig(file), config)
  assert.equal(user, 'alice@example.com')
  const { repository, branch } = config.directory
  const directory = await readRepository({ repository, branch, domain: 'example.com', temporary: folder })
  const alice = directory.user('alice')
  assert.equal(alice?.name, 'alice@example.com')
  assert.equal(await verifyPassword(alice?.verifier ?? null, 'correct horse'), true)
  assert.deepEqual(parseTsigKey(readFileSync(config.signer.tsigKey, 'utf8')), tsigKey)
  const secrets = files(join(file, '..')).filter(path => (statSync(path).mode & 0o077) === 0)
  assert.deepEqual(
    secrets.toSorted(),
    [
      authorityKey,
      config.signer.tsigKey,
      config.submission.key,
      config.submission.hopKey,
      config.signer.hopKey,
      config.relay.hopKey,
    ].toSorted(),
  )
  assert.equal(statSync(repository).mode & 0o077, 0)
  for (const path of files(join(file, '..')).filter(path => !secrets.includes(path))) {
    assert.doesNotMatch(readFileSync(path, 'utf8'), /PRIVATE|correct horse/)
  }
})

test('without a user the repository has the domain', async t => {
  if (!need(t, 'git')) return
  const { config } = await make()
  const { repository, branch } = config.directory
  const directory = await readRepository({ repository, branch, domain: 'example.com', temporary: folder })
  assert.deepEqual([...directory.domains], ['example.com'])
  assert.equal(directory.user('alice'), undefined)
})

test('settings are in force, and their paths are used', async t => {
  if (!need(t, 'git')) return
  const deployment = await make({
    settings: {
      '': { postmaster: 'help@example.com' },
      directory: { branch: 'trunk', repository: 'people.git' },
      submission: { listen: '127.0.0.1:0', hostname: 'localhost' },
      signer: { selector: 's1', seed: 'secret/seed' },
    },
  })
  const { config, file } = deployment
  assert.deepEqual(await findings(deployment), [])
  assert.equal(config.postmaster, 'help@example.com')
  assert.deepEqual(config.submission.listen, { host: '127.0.0.1', port: 0 })
  assert.equal(existsSync(join(file, '../secret/seed')), true)
  assert.equal(existsSync(join(file, '../dkim')), false)
})

test('the files of other ways to sign in are looked at', async t => {
  if (!need(t, 'git')) return
  const oauth = { issuer: 'https://login.example.com', audience: 'mail', jwks: 'keys.json' }
  const deployment = await make({
    settings: { submission: { client_ca: 'clients.pem' }, 'submission.oauth': oauth },
  })
  const at = (name: string) => join(deployment.file, '..', name)
  const remedy =
    'there is no such file: put it there (`ptt init` makes those of a new deployment) or correct the path in ptt.toml'
  assert.deepEqual(await findings(deployment), [
    `submission.client_ca: clients.pem: ${remedy}`,
    `submission.oauth.jwks: keys.json: ${remedy}`,
  ])
  writeFileSync(at('clients.pem'), readFileSync(deployment.config.hop.ca))
  writeFileSync(at('keys.json'), '{"key": []}')
  assert.match(
    (await findings(deployment)).join('\n'),
    /^submission\.oauth\.jwks: keys\.json: is not a JSON Web Key Set/,
  )
  writeFileSync(at('keys.json'), '{"keys": []}')
  assert.deepEqual(await findings(deployment), [])
})

test('nothing is overwritten, and nothing is left of what fails', async t => {
  if (!need(t, 'git')) return
  const dir = join(folder, 'full')
  mkdirSync(join(dir, 'dns'), { recursive: true })
  writeFileSync(join(dir, 'dns/tsig.key'), 'mine')
  await assert.rejects(make({ dir }), /^Error: nothing was made, as this is there already: .*dns\/tsig\.key$/)
  assert.deepEqual(files(dir), [join(dir, 'dns/tsig.key')])
  assert.equal(readFileSync(join(dir, 'dns/tsig.key'), 'utf8'), 'mine')

  const other = join(folder, 'failing')
  await assert.rejects(make({ dir: other, user: { name: 'alice', password: '' } }))
  assert.deepEqual(files(other), [])
  assert.equal(existsSync(join(other, 'users.git')), false)
  await make({ dir: other, user: { name: 'alice', password: 'x' } })

  await assert.rejects(make({ domain: 'not a domain' }), /"not a domain" is not a domain name/)
})

type Damage = (deployment: Deployment) => void | Promise<void>
const damages: [what: string, damage: Damage, found: RegExp[]][] = [
  [
    'a secret that others may read',
    ({ config }) => chmodSync(config.signer.hopKey, 0o640),
    [/^signer\.hop_key: hop\/signer\.key: others may read it \(mode 640\): run chmod 600/],
  ],
  [
    'files that are not there',
    ({ config }) => {
      rmSync(config.signer.tsigKey)
      rmSync(config.relay.hopCertificate)
      rmSync(config.directory.repository, { recursive: true })
    },
    [
      /^signer\.tsig_key: dns\/tsig\.key: there is no such file/,
      /^relay\.hop_certificate: hop\/relay\.pem: there is no such file/,
      /^directory\.repository: users\.git: is no bare Git repository/,
    ],
  ],
  [
    "another's key",
    ({ config }) => writeFileSync(config.relay.hopKey, readFileSync(config.signer.hopKey)),
    [/^relay\.hop_key: hop\/relay\.key: is not the key of the certificate/],
  ],
  [
    "another's certificate",
    ({ config }) => {
      writeFileSync(config.relay.hopKey, readFileSync(config.signer.hopKey))
      writeFileSync(config.relay.hopCertificate, readFileSync(config.signer.hopCertificate))
    },
    [
      /^relay\.hop_certificate: hop\/relay\.pem: is for DNS:signer\.ptt\.internal, not DNS:relay\.ptt\.internal: run `ptt init/,
    ],
  ],
  [
    "another deployment's certificate",
    async ({ config }) => {
      const { certificate, key } = await issue(await makeAuthority('example.com'), { role: 'relay' })
      writeFileSync(config.relay.hopKey, key)
      writeFileSync(config.relay.hopCertificate, certificate)
    },
    [/^relay\.hop_certificate: hop\/relay\.pem: is not signed by the CA of hop\.ca/],
  ],
  [
    'what is no certificate',
    ({ config }) => {
      writeFileSync(
        config.submission.certificate,
        '-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n',
      )
      writeFileSync(config.submission.key, 'xx')
      writeFileSync(config.hop.ca, readFileSync(config.relay.hopCertificate))
    },
    [
      /^hop\.ca: hop\/ca\.pem: is no CA/,
      /^submission\.hop_certificate: .* is not signed/,
      /^signer\.hop_certificate: .* is not signed/,
      /^relay\.hop_certificate: .* is not signed/,
      /^submission\.certificate: tls\/submission\.pem: holds a damaged certificate/,
      /^submission\.key: tls\/submission\.key: is not a private key in PEM/,
    ],
  ],
  [
    'a spool that is a file',
    ({ config }) => writeFileSync(config.relay.spool, ''),
    [/^relay\.spool: .*spool: is a file, and should be a folder/],
  ],
  [
    'a certificate for another host',
    async ({ config }) => {
      const { certificate, key } = await issue(await makeAuthority('x'), { names: ['mail.example.net'] })
      writeFileSync(config.submission.certificate, certificate)
      writeFileSync(config.submission.key, key)
    },
    [
      /^submission\.certificate: tls\/submission\.pem: is for DNS:mail\.example\.net, not for submission\.hostname mail\.example\.com/,
    ],
  ],
  [
    'keys that are no good',
    ({ config }) => {
      mkdirSync(config.signer.state)
      writeFileSync(join(config.signer.state, 'keys.json'), '{"version": 1, "keys": [{}]}')
      writeFileSync(config.signer.tsigKey, 'secret')
    },
    [
      /^signer\.state: dkim\/keys\.json: has a key that cannot be understood/,
      /^signer\.tsig_key: dns\/tsig\.key: a TSIG key is written NAME:ALGORITHM:BASE64/,
    ],
  ],
]
for (const [what, damage, found] of damages) {
  test(`config check finds ${what}`, async t => {
    if (!need(t, 'git')) return
    const deployment = await make()
    await damage(deployment)
    const told = await findings(deployment)
    assert.equal(told.length, found.length, told.join('\n'))
    for (const line of found)
      assert.ok(
        told.some(problem => line.test(problem)),
        `${line} in\n${told.join('\n')}`,
      )
  })
}

test('keys that ptt.toml names are made, and looked at', async t => {
  if (!need(t, 'git')) return
  const deployment = await make({ settings: { signer: { key: ['one.pem', 'credential:two'], bits: 3072 } } })
  assert.deepEqual(await findings(deployment), [])
  const { config } = deployment
  const [one] = config.signer.key
  assert.ok(one?.kind === 'file')
  const [loaded] = keysFromPem({ ...config, signer: { ...config.signer, key: [one] } })
  assert.match(loaded?.record ?? '', /^v=DKIM1; k=rsa; p=/)
  writeFileSync(one.path, 'secret')
  assert.match((await findings(deployment)).join('\n'), /^signer\.key: one\.pem: is not a private key in PEM/)
})

test('the rules of the relay are looked at too, each with its own line', async t => {
  if (!need(t, 'git')) return
  const deployment = await make({ settings: { relay: { shaping: 'shaping.toml', routes: 'routes.toml' } } })
  const at = (name: string) => join(deployment.config.file, '..', name)
  writeFileSync(at('shaping.toml'), '[[shaping]]\nname = "A"\n\n[[shaping]]\nname = "B"\nidle = "soon"\n')
  writeFileSync(at('routes.toml'), '[[route]]\nname = "A"\nhost = "mx.test"\nca = "nowhere.pem"\n')
  const told = (await findings(deployment)).join('\n')
  assert.match(told, /^shaping\.idle: "soon" is not a duration/m)
  assert.match(told, /^relay\.routes: .*nowhere\.pem: /m)
})

test('signatures must not expire while a message may be queued', async t => {
  if (!need(t, 'git')) return
  const deployment = await make({ settings: { signer: { expiration: '3d' } } })
  assert.deepEqual(await findings(deployment), [
    'signer.expiration: signatures would expire after 72 h, and the relay tries for 120 h: write a longer one, "never", or leave it out',
  ])
})

test('a key that the signer has made, and cannot read any more', async t => {
  if (!need(t, 'git')) return
  const deployment = await make()
  const { state } = deployment.config.signer
  const folder = new KeyFolder(state, 'example.com')
  const id = { domain: 'example.com', selector: 'a' }
  folder.save([
    {
      ...id,
      algorithm: 'ed25519-sha256',
      record: 'v=DKIM1; k=ed25519; p=',
      origin: 'generated',
      stage: 'active',
      sinceMs: 0,
      createdMs: 0,
      reason: 'its record is seen everywhere',
      unasked: false,
      staleSeconds: 0,
      everywhereMs: 0,
      neededUntilMs: 0,
      revokedUntilMs: null,
      forbidden: false,
      replaces: [],
    },
  ])
  assert.match((await findings(deployment)).join('\n'), /^signer\.state: dkim\/.*: there is no such file/)
  folder.writePrivate(id, generateKeyPairSync('ed25519').privateKey)
  assert.deepEqual(await findings(deployment), [])
})

test('config check looks at the services of the machine only', async t => {
  if (!need(t, 'git')) return
  const deployment = await make()
  for (const path of [deployment.config.signer.tsigKey, deployment.config.submission.hopKey]) rmSync(path)
  assert.deepEqual(await findings(deployment, { services: ['relay'] }), [])
  assert.equal((await findings(deployment, { services: ['submission'] })).length, 1)
  assert.equal((await findings(deployment)).length, 2)
})

test('config check tells a certificate that ends soon, and one that has', async t => {
  if (!need(t, 'git')) return
  const deployment = await make()
  const now = Date.now()
  const soon = await findings(deployment, { services: ['relay'], nowMs: now + 710 * DAY_MS })
  assert.match(
    soon.join('\n'),
    /^\(relay\.hop_certificate: hop\/relay\.pem: expires on .*, in 19 days: run `ptt init --renew-hops`\)$/,
  )
  const late = await findings(deployment, { services: ['relay'], nowMs: now + 731 * DAY_MS })
  assert.match(
    late.join('\n'),
    /^relay\.hop_certificate: hop\/relay\.pem: expired on [\d-]+: run `ptt init --renew-hops`$/,
  )
  const early = await findings(deployment, { services: ['relay'], nowMs: now - DAY_MS })
  assert.match(early.join('\n'), /is valid from [\d-]+ only: .* or set the clock/)
})

test('hop certificates are renewed, the CA stays', async t => {
  if (!need(t, 'git')) return
  const deployment = await make()
  const { config, authorityKey } = deployment
  const { hop, relay, submission } = config
  const before = new X509Certificate(readFileSync(relay.hopCertificate))
  const ca = readFileSync(hop.ca)
  const later = Date.now() + 720 * DAY_MS
  await renewHops(config, later)
  const now = new X509Certificate(readFileSync(relay.hopCertificate))
  assert.notEqual(now.serialNumber, before.serialNumber)
  assert.ok(now.checkPrivateKey(createPrivateKey(readFileSync(relay.hopKey))))
  assert.deepEqual(readFileSync(hop.ca), ca)
  assert.deepEqual(await findings(deployment, { nowMs: later }), [])
  // Not beyond the end of the CA.
  const last = Date.now() + 3600 * DAY_MS
  await renewHops(config, last)
  const { validToDate } = new X509Certificate(readFileSync(relay.hopCertificate))
  assert.deepEqual(validToDate, new X509Certificate(ca).validToDate)
  await assert.rejects(
    () => renewHops(config, last + 51 * DAY_MS),
    /the CA expired on .*: move .* away and run this again/,
  )

  // Mail programs' certificate is the operator's own now.
  const own = await issue(await makeAuthority('Public'), { names: ['mail.example.com'] })
  writeFileSync(submission.certificate, own.certificate)
  writeFileSync(submission.key, own.key)
  rmSync(authorityKey)
  await assert.rejects(() => renewHops(config, Date.now()), /the key of the CA is not here/)
  rmSync(hop.ca)
  await renewHops(config, Date.now())
  assert.notDeepEqual(readFileSync(hop.ca), ca)
  assert.equal(readFileSync(submission.key, 'utf8'), own.key)
  assert.deepEqual(await findings(deployment), [])
  assert.equal(statSync(authorityKey).mode & 0o077, 0)
})

const ZONE = `$ORIGIN example.com.
$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
`
for (const server of ['named', 'knotd'] as const) {
  test(`what ${server} is told lets the key be published, and nothing else`, async t => {
    if (!need(t, 'git', server)) return
    const deployment = await make()
    const { tsigKey } = deployment
    const peer = await startDnsPeer(server, { zone: 'example.com' }, (dir, port) => {
      writeFileSync(join(dir, 'zone'), ZONE)
      const file = join(dir, 'server.conf')
      writeFileSync(file, server === 'named' ? bind(dir, port) : knot(dir, port))
      return {
        program: which(server) ?? server,
        args: server === 'named' ? ['-g', '-c', file] : ['-c', file],
      }
    })
    t.after(() => peer.stop())
    const publish = (name: string) =>
      publishKey({
        primary: { host: '127.0.0.1', port: peer.port },
        zone: 'example.com',
        tsigKey,
        name,
        record: 'v=DKIM1; k=rsa; p=AAAA',
        ttlSeconds: 60,
      })
    assert.equal((await publish('ptt._domainkey.example.com')).kind, 'published', peer.output())
    assert.equal((await publish('ptt._domainkey.example.com')).kind, 'already')
    assert.equal((await publish('ptt-2._domainkey.example.com')).kind, 'published')
    const other = 'ptt.example.com'
    const forbidden = await publish(other)
    // Knot 3.4 does not sign what it answers to a key that may not do this.
    if (forbidden.kind === 'failure') assert.match(forbidden.reason, /\(NOTAUTH\) is not signed/)
    else assert.equal(forbidden.kind, 'refused')
    const primary = { host: '127.0.0.1', port: peer.port }
    assert.equal((await askPrimary(primary, other, 'TXT')).kind, 'nxdomain')

    function bind(dir: string, port: number): string {
      const snippet = bindSnippet('example.com', tsigKey, 'example.com')
      assert.ok(nextSteps(deployment).replace(/^ {3}/gm, '').includes(snippet))
      return `options { directory "${dir}"; pid-file none; session-keyfile "${dir}/session.key"; recursion no;
        listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; };
        controls { };
        ${snippet.replace('# beside', 'type primary; file "zone"; # beside')}`
    }

    function knot(dir: string, port: number): string {
      const snippet = knotSnippet('example.com', tsigKey, 'example.com')
      assert.ok(nextSteps(deployment).replace(/^ {3}/gm, '').includes(snippet))
      return `server:
    rundir: "${dir}"
    listen: 127.0.0.1@${port}
database:
    storage: "${dir}"
    journal-db-max-size: 16M
    timer-db-max-size: 16M
    kasp-db-max-size: 16M
    catalog-db-max-size: 16M
template:
  - id: default
    storage: "${dir}"
    file: zone
${snippet}
`
    }
  })
}

test('config check finds two services at one port', async t => {
  if (!need(t, 'git')) return
  const deployment = await make()
  const { config } = deployment
  const crossed = { ...config, relay: { ...config.relay, listen: config.signer.listen } }
  const told = await findings({ ...deployment, config: crossed })
  assert.deepEqual(told, [
    'relay.listen: 127.0.0.1:2525 is taken by signer.listen: write another port',
    '(signer.relay: nobody answers at 127.0.0.1:2526, as relay.listen is 127.0.0.1:2525: write that, unless the relay is on another machine)',
  ])
  const secret = join(dirname(deployment.file), 'hooks.secret')
  const hooked = { ...config, hooks: { secret, relay: config.signer.listen } }
  writeFileSync(secret, 'short', { mode: 0o600 })
  const [short, ...others] = await findings({ ...deployment, config: hooked })
  assert.match(short ?? '', /^hooks\.secret: .*is shorter than 32 characters/)
  assert.deepEqual(others, ['hooks.relay: 127.0.0.1:2525 is taken by signer.listen: write another port'])
})
