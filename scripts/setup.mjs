/**
 * Makes a fresh clone ready: `npm start` and `npm test` run this first, on whatever Node the machine has (20 or later)
 * and with nothing installed. When all is there it does nothing and says nothing.
 *
 *   node scripts/setup.mjs            node_modules, as package-lock.json has them, with Node 24 among them
 *   node scripts/setup.mjs --peers    and the real servers the tests run against (Debian, as root or by sudo)
 *   node scripts/setup.mjs --peers=F  or those of another list of packages
 *
 * PTT_PEERS=no: install no servers; tests that need one that is missing are skipped.
 */

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const POLICY = '/usr/sbin/policy-rc.d'
const [, peers = 'test/peers/packages.txt'] =
  process.argv.find(word => word.startsWith('--peers='))?.split('=') ?? []

setUpModules()
if (process.argv.some(word => /^--peers(=|$)/.test(word)) && process.env.PTT_PEERS !== 'no') setUpPeers()

function setUpModules() {
  const reason = staleness()
  if (reason !== undefined) {
    say(`npm ci: ${reason}`)
    // Development dependencies too, whatever NODE_ENV is: Node 24 is one of them.
    const options = ['--include=dev', '--no-audit', '--no-fund']
    if (!run([...npm(), 'ci', ...options])) {
      // npm ci refuses a lock file that was written where the registry lacked an optional package of another platform.
      say('npm ci failed, see above: npm install')
      run([...npm(), 'install', '--no-save', ...options])
    }
    const still = staleness()
    if (still !== undefined) fail(`node_modules is not what package-lock.json says: ${still}`)
  }
  const node = join(root, 'node_modules/.bin/node')
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (!stdout?.startsWith('v24.')) {
    fail(
      `${node} is not Node 24: was npm told to ignore scripts? Try: npm rebuild node --ignore-scripts=false`,
    )
  }
}

/** Why node_modules is not what package-lock.json says, by content; undefined when it is. */
function staleness() {
  const wanted = packagesOf('package-lock.json')
  const installed = packagesOf('node_modules/.package-lock.json')
  if (installed === undefined) return 'there is no node_modules'
  for (const [path, { version, integrity, optional, devOptional, peer }] of Object.entries(wanted ?? {})) {
    const found = installed[path]
    if (path === '' || (found === undefined && (optional || devOptional || peer))) continue
    if (found?.version !== version || found?.integrity !== integrity) {
      return `${path} is ${found?.version ?? 'missing'}, package-lock.json has ${version}`
    }
  }
  const extra = Object.keys(installed).find(path => wanted?.[path] === undefined)
  return extra && `${extra} is not in package-lock.json`
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** The npm that runs this script, or the one on the PATH. */
function npm() {
  const running = process.env.npm_execpath
  return running?.endsWith('npm-cli.js') ? [process.execPath, running] : ['npm']
}

function setUpPeers() {
  const missing = missingPeers()
  if (missing.length === 0) return
  const names = missing.map(peer => peer.name)
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (find('apt-get') === undefined) {
    return warn(`not installed, and there is no apt-get: ${missing.map(peer => peer.program).join(' ')}`)
  }
  if (asRoot.length > 0 && spawnSync('sudo', ['-n', 'true']).status !== 0) {
    return warn(`not installed: ask an administrator for: apt-get install ${names.join(' ')}`)
  }
  say(`apt-get install ${names.join(' ')}`)
  // An interrupted apt-get ends by itself; what follows it here must still be done.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
  // Debian starts a daemon it has installed unless this program, if there is one, forbids it.
  const ours = !existsSync(POLICY)
  if (ours) {
    run([...asRoot, 'sh', '-c', `printf '#!/bin/sh\\nexit 101\\n' > ${POLICY} && chmod 755 ${POLICY}`])
  }
  const apt = (...args) =>
    run([
      ...asRoot,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-qq',
      '-o',
      'DPkg::Lock::Timeout=120',
      ...args,
    ])
  // --no-remove: the machine may have another MTA, which would have to go for Postfix.
  const install = (...packages) => apt('install', '-y', '--no-remove', '--no-install-recommends', ...packages)
  try {
    if (!apt('update')) say('WARNING: apt-get update failed: the lists of packages may be old')
    if (!install(...names)) for (const name of names) install(name)
  } finally {
    if (ours) run([...asRoot, 'rm', '-f', POLICY])
  }
  const still = missingPeers()
  if (still.length > 0) warn(`could not be installed: ${still.map(peer => peer.name).join(' ')}`)
}

/** Of that list, what dpkg does not have installed; without dpkg, the programs that are not found. */
function missingPeers() {
  const lines = readFileSync(join(root, peers), 'utf8').split('\n')
  const wanted = lines
    .filter(line => line.trim() !== '' && !line.startsWith('#'))
    .map(line => line.trim().split(/\s+/))
    .map(([name, program]) => ({ name, program }))
  const query = spawnSync(
    'dpkg-query',
    // The braces are dpkg's.
    ['--show', `--showformat=$\{Package} $\{db:Status-Status}\n`, ...wanted.map(peer => peer.name)],
    { encoding: 'utf8' },
  )
  if (query.error) return wanted.filter(({ program }) => program && find(program) === undefined)
  const installed = new Set(query.stdout.split('\n'))
  return wanted.filter(
    ({ name, program }) => !installed.has(`${name} installed`) && !(program && find(program)),
  )
}

function find(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders
    .filter(Boolean)
    .map(folder => join(folder, program))
    .find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What it writes goes to standard error: standard output belongs to what runs next. */
function run([command, ...args]) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (error) say(`${command}: ${error.message}`)
  return status === 0
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

function warn(text) {
  say(`WARNING: ${text}\nsetup: what needs it is skipped`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
