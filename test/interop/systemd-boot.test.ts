/**
 * The units of systemd/ under a systemd that runs: a container without a network of its own whose /usr is this machine's and
 * whose /etc and /var are empty. What the units forbid is forbidden there, and ptt has to work all the same.
 */

import assert from 'node:assert/strict'
import {
  chmodSync,
  copyFileSync,
  globSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { need, needRoot } from '../peers/need.ts'
import { run, temporaryFolder } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'

const root = join(import.meta.dirname, '../..')
/** Who may read the repository of users: services whose users come and go are told apart by a group. */
const READERS = { name: 'ptt-users', id: 8825 }

/** What is not there in a container: waiting for a network, asking who is the first user. */
const BOOT = [
  ...['--boot', 'systemd.unit=ptt-check.target', 'systemd.firstboot=no', 'systemd.mask=timers.target'],
  ...['systemd.mask=systemd-networkd.service', 'systemd.mask=systemd-networkd-wait-online.service'],
]

const CHECK = `#!/usr/bin/bash
greeting() { printf 'QUIT\\r\\n' | timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/25; cat >&3; head -1 <&3'; }
echo "relay: $(greeting)"
systemctl restart ptt-relay
echo "restarted: $(greeting)"
echo "submission: $(timeout 10 openssl s_client -quiet -connect 127.0.0.1:465 2>/dev/null </dev/null | head -1)"
systemctl reload ptt-submission && timeout 10 bash -c 'until journalctl -o cat -u ptt-submission | grep -q reloaded; do :; done'
echo "reloaded: $?"
for service in relay signer submission; do
  status=/proc/$(systemctl show -P MainPID ptt-$service)/status
  echo $service: $(grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' $status)
done
systemctl stop ptt-{relay,signer,submission}.socket ptt-{relay,signer,submission}.service
for service in relay signer submission; do echo "$service ended: $(systemctl show -P Result ptt-$service)"; done
echo kept: $(ls /var/lib/private/ptt-relay /var/lib/private/ptt-signer)
journalctl -o cat -u 'ptt-*'
systemctl poweroff --force
`

test('the units run: sockets, credentials, a user for each, nothing allowed', async t => {
  if (!need(t, 'systemd-nspawn', 'openssl') || !needRoot(t, 'start a container')) return
  const temporary = temporaryFolder('boot')
  t.after(() => temporary.remove())
  const at = (name: string) => join(temporary.path, name)
  const container = [
    '--quiet',
    '--register=no',
    '--keep-unit',
    '--private-network',
    '--directory=/',
    '--volatile=yes',
  ]
  const tried = await run('systemd-nspawn', [...container, '/usr/bin/true'])
  if (tried.code !== 0) return t.skip(`SKIPPED: no container can be started here: ${tried.output}`)

  await makeConfiguration(at('etc'))
  const units = makeUnits(at('units'))
  const program = await makeProgram(at('opt'))
  mkdirSync(at('out'))
  writeFileSync(at('check'), CHECK, { mode: 0o755 })
  writeFileSync(at('nsswitch'), 'passwd: files systemd\ngroup: files systemd\nhosts: files\n')
  writeFileSync(at('gitconfig'), '[safe]\n\tdirectory = /etc/ptt/users.git\n')
  writeFileSync(at('sysusers'), `g ${READERS.name} ${READERS.id}\n`)
  const { output } = await run('systemd-nspawn', [
    ...container,
    `--bind-ro=${at('sysusers')}:/etc/sysusers.d/ptt.conf`,
    `--bind=${at('out')}:/ptt-out`,
    `--bind-ro=${at('etc')}:/etc/ptt`,
    `--bind-ro=${at('check')}:/opt/check`,
    `--bind-ro=${at('nsswitch')}:/etc/nsswitch.conf`,
    `--bind-ro=${at('gitconfig')}:/etc/gitconfig`,
    ...program.map(([from, to]) => `--bind-ro=${from}:${to}`),
    ...units.map(path => `--bind-ro=${path}:/etc/systemd/system/${basename(path)}`),
    ...BOOT,
  ])
  const said = readFileSync(at('out/log'), 'utf8')
  const told = (about: string) => new RegExp(`^${about}: (.*?)\\r?$`, 'm').exec(said)?.[1]
  const context = `${output}\n${said}`
  for (const about of ['relay', 'restarted', 'submission'])
    assert.match(told(about) ?? '', /^220 mail\.example\.com ESMTP/, context)
  assert.equal(told('reloaded'), '0', context)
  for (const service of ['relay', 'signer', 'submission']) {
    assert.match(
      said,
      new RegExp(`^${service}: CapEff: 0{16} CapBnd: 0{16} NoNewPrivs: 1 Seccomp: 2$`, 'm'),
      context,
    )
    assert.equal(told(`${service} ended`), 'success', context)
  }
  assert.match(told('kept') ?? '', /ptt-relay: spool users\.git .*ptt-signer: keys users\.git/, context)
})

/** What `ptt init` makes, and the example beside the units; the repository is for its readers only. */
async function makeConfiguration(folder: string): Promise<void> {
  const command = pttCommand('init', '--dir', folder, '--domain', 'example.com', '--user', 'alice')
  const made = await run(...command, { input: 'correct horse battery staple\n' })
  assert.equal(made.code, 0, made.output)
  const example = readFileSync(join(root, 'systemd/ptt.toml'), 'utf8')
  writeFileSync(
    join(folder, 'ptt.toml'),
    example.replace(/^repository = .*$/m, 'repository = "/etc/ptt/users.git"'),
  )
  chmodSync(folder, 0o755)
  const repository = join(folder, 'users.git')
  assert.equal((await run('chgrp', ['-R', String(READERS.id), repository])).code, 0)
  assert.equal((await run('chmod', ['-R', 'g+rX,o=', repository])).code, 0)
}

/** The units as they are, but for where ptt is and who reads the repository, and one that looks at them. */
function makeUnits(folder: string): string[] {
  mkdirSync(folder)
  for (const path of globSync(join(root, 'systemd/ptt-{relay,signer,submission}.{service,socket}'))) {
    const text = readFileSync(path, 'utf8').replace('/usr/bin/ptt', '/opt/ptt')
    writeFileSync(
      join(folder, basename(path)),
      text.replace('DynamicUser=yes', `$&\nSupplementaryGroups=${READERS.name}`),
    )
  }
  const needs = 'basic.target ptt-relay.service ptt-signer.service ptt-submission.service'
  writeFileSync(
    join(folder, 'ptt-check.service'),
    `[Unit]
Wants=${needs}
After=${needs}
[Service]
Type=oneshot
ExecStart=/opt/check
StandardOutput=file:/ptt-out/log
StandardError=file:/ptt-out/log
`,
  )
  writeFileSync(join(folder, 'ptt-check.target'), '[Unit]\nRequires=ptt-check.service\n')
  return globSync(join(folder, '*'))
}

/** Paths of here, and of there: the executable that PTT_PROGRAM names, or Node and a bundle. */
async function makeProgram(folder: string): Promise<[from: string, to: string][]> {
  const { PTT_PROGRAM } = process.env
  if (PTT_PROGRAM) return [[PTT_PROGRAM, '/opt/ptt']]
  const { buildBundle } = await import(pathToFileURL(join(root, 'scripts/build-bundle.mjs')).href)
  await buildBundle(join(folder, 'bundle'))
  copyFileSync(realpathSync(process.execPath), join(folder, 'node'))
  const script = '#!/bin/sh\nexec /opt/folder/node /opt/folder/bundle/main.cjs "$@"\n'
  writeFileSync(join(folder, 'ptt'), script, { mode: 0o755 })
  return [
    [folder, '/opt/folder'],
    [join(folder, 'ptt'), '/opt/ptt'],
  ]
}
