/**
 * Haraka + haraka-plugin-dkim, from npm, in the user's cache folder. As its manual says of many cores: a process for each
 * (`nodes=cpus`), no limit of deliveries to speak of.
 *
 * DURABILITY  the file of the queue is synced (FsyncWriteStream of haraka-utils) and renamed before 250 (strace: one fsync
 *             a message). It does not sync the folder: the file system does (synchronous.ts).
 */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/peers/port.ts'
import { accepting } from '../../test/peers/program.ts'
import { SENDER_DOMAIN } from '../load/message.ts'
import { PASSWORD, SELECTOR, type Surroundings, type System, USERNAME } from '../systems/system.ts'
import { contain } from './contained.ts'
import { missingPrograms } from './missing.ts'
import { makeSynchronous, SYNCHRONOUS } from './synchronous.ts'
import { CACHE } from './unpacked.ts'

/** The overrides are of versions that not every registry has. */
const PACKAGE = {
  private: true,
  dependencies: { Haraka: '3.3.4', 'haraka-plugin-dkim': '1.3.1' },
  overrides: { 'encoding-japanese': '2.2.0', libqp: '2.1.2' },
}

/** @returns what is missing, or null */
export function whyNoHaraka(): string | null {
  return missingPrograms({ npm: 'npm', openssl: 'openssl', ...SYNCHRONOUS })
}

/** Of config/: file → text. */
function configuration(
  ports: Readonly<Record<'plain' | 'tls', number>>,
  around: Surroundings,
): Readonly<Record<string, string>> {
  return {
    me: `mail.${SENDER_DOMAIN}\n`,
    // Nothing but what is needed: each plugin costs something for every message.
    plugins: 'tls\nrelay\nauth/flat_file\ndkim\nloopback\n',
    'smtp.ini': `listen=127.0.0.1:${ports.plain},127.0.0.1:${ports.tls}\nsmtps_port=${ports.tls}\nnodes=cpus\n`,
    'connection.ini': `[main]
[haproxy]
[headers]
[max]
bytes=104857600
line_length=512
data_line_length=992
[message]
helo=Haraka is at your service.
close=closing connection. Have a jolly good day.
[uuid]
banner_chars=6
`,
    'outbound.ini': 'concurrency_max=1000\nenable_tls=false\nlocal_mx_ok=true\n',
    // What is delivered is told at this level; below it nothing is.
    'log.ini': '[main]\nlevel=notice\n',
    'relay.ini': '[relay]\nacl=true\n',
    relay_acl_allow: '127.0.0.0/8\n',
    'tls.ini': 'key=tls.key\ncert=tls.pem\n',
    // One that everybody knows (RFC 7919): it would look for one of its own for minutes.
    'dhparams.pem': execFileSync(
      'openssl',
      ['genpkey', '-genparam', '-algorithm', 'DH', '-pkeyopt', 'group:ffdhe2048'],
      {
        encoding: 'utf8',
      },
    ),
    'tls.key': around.tls.key,
    'tls.pem': around.tls.certificate,
    'auth_flat_file.ini': `[core]\nmethods=PLAIN\nconstrain_sender=false\n[users]\n${USERNAME}=${PASSWORD}\n`,
    'dkim.ini': `[sign]
enabled=true
selector=${SELECTOR}
domain=${SENDER_DOMAIN}
headers=From, Sender, Reply-To, Subject, Date, Message-ID, To, Cc, MIME-Version, Content-Type, Content-Transfer-Encoding
[canon]
body=relaxed
[verify]
enabled=false
`,
    'dkim.private.key': around.dkimKey,
  }
}

/** Where destinations are: its own look-ups know only port 25. */
const loopback = (sinkPort: number) => `'use strict'
exports.hook_get_mx = function (next, hmail, domain) {
  next(OK, { priority: 0, exchange: '127.0.1.' + /^d(\\d+)\\./.exec(domain)[1], port: ${sinkPort} })
}
`

export async function startHaraka(around: Surroundings): Promise<System> {
  const at = (name: string) => join(around.folder, name)
  const installed = install()
  const ports = { plain: await freePort(), tls: await freePort() }
  for (const name of ['config', 'plugins', 'queue']) mkdirSync(at(name))
  makeSynchronous(at('queue'), 'names')
  for (const [file, text] of Object.entries(configuration(ports, around)))
    writeFileSync(at(`config/${file}`), text, { mode: 0o600 })
  writeFileSync(at('plugins/loopback.js'), loopback(around.sinkPort))
  // Its plugins from npm are looked for beside its configuration.
  writeFileSync(at('package.json'), JSON.stringify({ private: true }))
  const daemon = contain({
    processes: around.processes,
    log: at('haraka.log'),
    command: [process.execPath, join(installed, 'node_modules/Haraka/bin/haraka'), '-c', around.folder],
    binds: {},
  })
  try {
    for (const port of Object.values(ports)) {
      await Promise.race([
        accepting(
          port,
          () => true,
          () => daemon.said(),
        ),
        daemon.ended,
      ])
    }
  } catch (error) {
    await daemon.stop()
    throw error
  }
  const credentials = { username: USERNAME, password: PASSWORD }
  return {
    version: PACKAGE.dependencies.Haraka,
    doors: {
      plain: { port: ports.plain, ca: null, credentials: null },
      tls: { port: ports.tls, ca: around.tls.ca, credentials },
    },
    processes: around.processes,
    stop: () => daemon.stop(),
  }
}

/** The folder it is in. @throws Error when it cannot be had */
function install(): string {
  const wanted = JSON.stringify(PACKAGE)
  const folder = join(CACHE, 'haraka')
  const file = join(folder, 'package.json')
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(CACHE, { recursive: true })
  const made = mkdtempSync(join(CACHE, 'haraka-'))
  try {
    writeFileSync(join(made, 'package.json'), wanted)
    execFileSync(
      'npm',
      ['install', '--prefix', made, '--omit=dev', '--no-audit', '--no-fund', '--ignore-scripts'],
      {
        cwd: made,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    // npm writes it anew.
    writeFileSync(join(made, 'package.json'), wanted)
    renameSync(made, folder)
    return folder
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}
