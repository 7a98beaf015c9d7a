/**
 * The real servers and programs that interoperability tests run against. A test says what it needs first;
 * where that is not installed the test is skipped loudly, and under CI=true it fails: a green run there means
 * that it ran.
 */

import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** Program → Debian package. */
const PACKAGES: Readonly<Record<string, string>> = {
  curl: 'curl',
  delv: 'bind9-dnsutils',
  dig: 'bind9-dnsutils',
  'dkimproxy-verify': 'libmail-dkim-perl',
  dkimverify: 'python3-dkim',
  'dnssec-keygen': 'bind9-utils',
  'dnssec-signzone': 'bind9-utils',
  exim4: 'exim4-daemon-light',
  git: 'git',
  gpg: 'gnupg',
  gsasl: 'gsasl',
  ip: 'iproute2',
  kdig: 'knot-dnsutils',
  knotd: 'knot',
  knsupdate: 'knot-dnsutils',
  mformat: 'mtools',
  msmtp: 'msmtp',
  named: 'bind9',
  'nats-server': 'nats-server',
  nsupdate: 'bind9-dnsutils',
  opendkim: 'opendkim',
  'opendkim-testkey': 'opendkim-tools',
  'opendkim-testmsg': 'opendkim-tools',
  openssl: 'openssl',
  pebble: 'pebble',
  pdns_server: 'pdns-server pdns-backend-sqlite3',
  pdnsutil: 'pdns-server pdns-backend-sqlite3',
  perl: 'perl libmail-dkim-perl',
  postfix: 'postfix',
  'posttls-finger': 'postfix',
  prlimit: 'util-linux',
  python3: 'python3 python3-dkim',
  'qemu-system-x86_64': 'qemu-system-x86',
  's-nail': 's-nail',
  'smtp-sink': 'postfix',
  'smtp-source': 'postfix',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  sshd: 'openssh-server',
  sslscan: 'sslscan',
  swaks: 'swaks',
  'systemd-analyze': 'systemd',
  'systemd-nspawn': 'systemd-container',
  'systemd-socket-activate': 'systemd',
  testssl: 'testssl.sh',
  unbound: 'unbound',
  unshare: 'util-linux',
  xorriso: 'xorriso',
}

/** Servers live in sbin, which is not on everybody's PATH. */
const FOLDERS = [
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
]

/** Where `program` is (a name with a slash is a path itself), or `null` when it is not installed. */
export function which(program: string): string | null {
  const candidates = program.includes('/')
    ? [program]
    : FOLDERS.filter(Boolean).map(folder => join(folder, program))
  return candidates.find(isExecutable) ?? null
}

/**
 * True when every program is there. Otherwise the test is marked skipped and the answer is false: return at
 * once. Usage: `if (!need(t, 'named', 'knotd')) return`.
 */
export function need(t: TestContext, ...programs: string[]): boolean {
  const missing = programs.filter(program => which(program) === null)
  if (missing.length === 0) return true
  const packages = [...new Set(missing.map(program => PACKAGES[baseName(program)] ?? baseName(program)))]
  const reason = `${missing.join(', ')} not installed: apt-get install ${packages.join(' ')}`
  if (process.env.CI === 'true') throw new Error(`${t.name}: ${reason} (CI=true: nothing may be skipped)`)
  console.error(`SKIPPED: ${t.name}: ${reason}`)
  t.skip(`SKIPPED: ${reason}`)
  return false
}

/**
 * For a test of what only root can do. `npm test` runs its file again by sudo where that asks for no password, and says
 * so with PTT_ROOT=later.
 */
export function needRoot(t: TestContext, what: string): boolean {
  if (process.getuid?.() === 0) return true
  const reason = `only root can ${what}`
  if (process.env.CI === 'true' && process.env.PTT_ROOT !== 'later')
    throw new Error(`${t.name}: ${reason} (CI=true: nothing may be skipped)`)
  console.error(`SKIPPED: ${t.name}: ${reason}`)
  t.skip(`SKIPPED: ${reason}`)
  return false
}

function baseName(program: string): string {
  return program.slice(program.lastIndexOf('/') + 1)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
