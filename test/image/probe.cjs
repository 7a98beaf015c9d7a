// What stands in for ptt in a machine of boot.test.ts: it looks around, says what it sees in a line of JSON, and ends.

const { execFileSync, spawnSync } = require('node:child_process')
const { accessSync, chmodSync, constants, existsSync, globSync, readdirSync, readFileSync, statSync, writeFileSync } = require('node:fs')
const { hostname } = require('node:os')

const attempt = action => {
  try {
    action()
    return 'done'
  } catch (error) {
    return error.code ?? String(error)
  }
}
const status = Object.fromEntries(
  readFileSync('/proc/self/status', 'utf8')
    .split('\n')
    .map(line => line.split(/:\s*/)),
)
const listening = ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6', 'packet'].flatMap(family =>
  (existsSync(`/proc/net/${family}`) ? readFileSync(`/proc/net/${family}`, 'utf8') : '')
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(columns => columns.length > 3 && (!family.startsWith('tcp') || columns[3] === '0A'))
    .map(columns => `${family} ${Number.parseInt(columns[1].split(':').at(-1), 16)}`),
)
const files = globSync('/usr/**/*').concat(globSync('/ptt/*'), globSync('/etc/**/*'))
const program = folder => {
  const path = `${folder}/program`
  writeFileSync(path, readFileSync('/usr/bin/ssh-keygen'))
  chmodSync(path, 0o755)
  return spawnSync(path).error?.code ?? 'ran'
}
const says = (name, ...args) => {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8' })
  return error ? error.code : `${status}: ${`${stdout}${stderr}`.split('\n')[0]}`
}
const seen = {
  event: 'seen',
  words: process.argv.slice(2),
  ids: [process.getuid(), process.getgid(), process.getgroups().join()],
  capabilities: [status.CapInh, status.CapPrm, status.CapEff, status.CapBnd, status.CapAmb],
  confined: [status.NoNewPrivs, status.Seccomp],
  processes: readdirSync('/proc').filter(name => /^\d+$/.test(name) && Number(name) !== process.pid),
  written: ['/', '/usr', '/ptt', '/etc', '/dev', '/run', '/proc/sys/kernel'].map(folder =>
    attempt(() => writeFileSync(`${folder}/file`, '')),
  ),
  executed: ['/tmp', '/run/ptt'].map(program),
  sys: readdirSync('/sys').length,
  devices: readdirSync('/dev').toSorted(),
  shells: files.filter(path => /\/(?:[a-z]*sh|busybox|apt|apt-get|dpkg|perl|python\w*|login|su|sudo|passwd|getty)$/.test(path) && !/\/ssh$/.test(path) && statSync(path).isFile() && path !== '/etc/passwd'),
  setId: files.filter(path => (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o6000),
  modules: readFileSync('/proc/sys/kernel/modules_disabled', 'utf8').trim(),
  listening,
  hostname: hostname(),
  nameserver: readFileSync('/etc/resolv.conf', 'utf8').trim(),
  ipv6: existsSync('/proc/net/if_inet6') ? readFileSync('/proc/net/if_inet6', 'utf8').trim() : '',
  git: says('git', '--version'),
  https: says('/usr/lib/git-core/git-remote-https'),
  ssh: says('ssh', '-V'),
  gpg: says('gpg', '--version'),
  keygen: says('ssh-keygen', '-?'),
  trusted: attempt(() => accessSync('/etc/ssl/certs/ca-certificates.crt', constants.R_OK)),
  memoryKiB: Object.fromEntries(
    readFileSync('/proc/meminfo', 'utf8')
      .split('\n')
      .slice(0, 3)
      .map(line => [line.split(':')[0], Number.parseInt(line.split(/\s+/)[1], 10)]),
  ),
}
console.log(JSON.stringify(seen))
process.exitCode = 3
