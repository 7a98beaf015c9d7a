/**
 * OpenSMTPD + filter-dkimsign, its limits raised as smtpd.conf(5) and smtpd/parse.y let one.
 *
 * DURABILITY  files are written and renamed, and it syncs nothing before 250 (strace: no fsync or fdatasync in 30 messages): the
 *             file system does (synchronous.ts). Without that it delivers about twice as many.
 * BUGS        In clear only: Debian's 6.8 fails every handshake with OpenSSL 3 ("EVP lib"). Of many connections that come at
 *             once some get no greeting; the generator gives them up and opens others.
 */

import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/peers/port.ts'
import { accepting } from '../../test/peers/program.ts'
import { addressOf, MOST_DESTINATIONS } from '../load/load.ts'
import { destination, SENDER_DOMAIN } from '../load/message.ts'
import { SELECTOR, type Surroundings, type System } from '../systems/system.ts'
import { contain } from './contained.ts'
import { missingPrograms } from './missing.ts'
import { makeSynchronous, SYNCHRONOUS } from './synchronous.ts'
import { idOf, unpack, usersIn } from './unpacked.ts'

const USERS = ['opensmtpd', 'opensmtpq']
const PACKAGES = ['opensmtpd', 'opensmtpd-filter-dkimsign', 'libopensmtpd0']

/** @returns what is missing, or null */
export function whyNoOpensmtpd(): string | null {
  return missingPrograms({ 'apt-get': 'apt', 'dpkg-deb': 'dpkg', ...SYNCHRONOUS })
}

/** smtpd.conf(5). */
function configuration(at: (name: string) => string, port: number, sinkPort: number): string {
  const destinations = Array.from({ length: MOST_DESTINATIONS }, (_, index) => index + 1)
  const actions = destinations.map(
    number => `action "d${number}" relay host "smtp+notls://${addressOf(number)}:${sinkPort}"\n`,
  )
  const matches = destinations.map(
    number => `match from any for domain "${destination(number)}" action "d${number}"\n`,
  )
  return `filter dkim proc-exec "filter-dkimsign -a rsa-sha256 -c relaxed/relaxed -d ${SENDER_DOMAIN} -s ${SELECTOR} -k ${at('dkim.key')}" user ${USERS[0]} group ${USERS[0]}
listen on socket
listen on 127.0.0.1 port ${port} filter dkim
smtp max-message-size "100M"
# A session may go on: 100 by default.
smtp limit max-mails 1000000
# More at a time to one host, by one route, from one address; no pause between connections (up to 5 s by default).
mta limit max-conn-per-host 50
mta limit max-conn-per-route 50
mta limit max-conn-per-source 1000
mta limit max-conn-per-connector 50
mta limit max-conn-per-relay 100
mta limit max-conn-per-domain 100
mta limit conn-delay-route 0
mta limit reconn-delay-route 0
mta limit conn-delay-host 0
mta limit conn-delay-source 0
mta limit conn-delay-connector 0
mta limit conn-delay-relay 0
mta limit conn-delay-domain 0
mta limit session-transaction-delay 0
mta limit task-hiwat 5000
mta limit task-lowat 3000
mta limit task-release 1000
mta max-deferred 10000
scheduler limit max-inflight 20000
scheduler limit max-evp-batch-size 1000
scheduler limit max-msg-batch-size 1000
scheduler limit max-schedule 1000
${actions.join('')}${matches.join('')}`
}

export async function startOpensmtpd(around: Surroundings): Promise<System> {
  const at = (name: string) => join(around.folder, name)
  const over = unpack('opensmtpd', PACKAGES)
  chmodSync(around.folder, 0o755)
  for (const name of ['lib', 'lib/opensmtpd', 'lib/opensmtpd/empty', 'spool', 'run'])
    mkdirSync(at(name), { mode: 0o755 })
  makeSynchronous(at('spool'), 'writes')
  writeFileSync(at('dkim.key'), around.dkimKey, { mode: 0o600 })
  const id = idOf(USERS, USERS[0] ?? '')
  chownSync(at('dkim.key'), id, id)
  // It looks up the names of all it speaks to: they are known, and no resolver is in the way.
  const names = Array.from({ length: MOST_DESTINATIONS }, (_, index) => index + 1).map(
    number => `${addressOf(number)} mx-${destination(number)}\n`,
  )
  writeFileSync(at('hosts'), `127.0.0.1 localhost\n${names.join('')}`, { mode: 0o644 })
  writeFileSync(at('resolv.conf'), 'lookup file\n', { mode: 0o644 })
  const port = await freePort()
  writeFileSync(at('smtpd.conf'), configuration(at, port, around.sinkPort), { mode: 0o600 })
  const daemon = contain({
    processes: around.processes,
    log: at('smtpd.log'),
    command: ['/usr/sbin/smtpd', '-d', '-f', at('smtpd.conf')],
    over,
    binds: {
      ...usersIn(around.folder, USERS),
      [at('hosts')]: '/etc/hosts',
      [at('resolv.conf')]: '/etc/resolv.conf',
      [at('lib')]: '/var/lib',
      [at('spool')]: '/var/spool',
      [at('run')]: '/run',
    },
  })
  try {
    await Promise.race([
      accepting(
        port,
        () => true,
        () => daemon.said(),
      ),
      daemon.ended,
    ])
  } catch (error) {
    await daemon.stop()
    throw error
  }
  return {
    version: /OpenSMTPD (\S+) starting/.exec(daemon.said())?.[1] ?? '',
    doors: { plain: { port, ca: null, credentials: null } },
    processes: around.processes,
    stop: () => daemon.stop(),
  }
}
