/**
 * Postfix + OpenDKIM, tuned as TUNING_README, MILTER_README and opendkim.conf(5) say.
 *
 * DURABILITY  cleanup(8) syncs the queue file before smtpd(8) says 250 (fsync, mail_stream.c; strace:
 *             one a message).
 */

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/peers/port.ts'
import { accepting } from '../../test/peers/program.ts'
import { addressOf, MOST_DESTINATIONS } from '../load/load.ts'
import { destination, SENDER_DOMAIN } from '../load/message.ts'
import { PASSWORD, SELECTOR, type Surroundings, type System, USERNAME } from '../systems/system.ts'
import { type Contained, contain } from './contained.ts'
import { missingPrograms } from './missing.ts'

/** main.cf. */
function parameters(at: (name: string) => string): Readonly<Record<string, string>> {
  return {
    compatibility_level: '3.6',
    queue_directory: at('queue'),
    data_directory: at('data'),
    maillog_file_prefixes: at('.'),
    maillog_file: at('mail.log'),
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    myhostname: `mail.${SENDER_DOMAIN}`,
    mydestination: '',
    alias_maps: '',
    alias_database: '',
    mynetworks: '127.0.0.0/8',
    smtpd_relay_restrictions: 'permit_mynetworks, permit_sasl_authenticated, reject',
    // No resolver in the way: the destinations are known.
    transport_maps: `texthash:${at('etc/transport')}`,
    smtp_dns_support_level: 'disabled',
    smtpd_peername_lookup: 'no',
    // TUNING_README, "Tuning the number of processes": 100 sessions in, and as many out.
    default_process_limit: '300',
    // TUNING_README, "Slowing down SMTP clients": the input is not to wait for the output.
    in_flow_delay: '0',
    // TUNING_README, "Tuning the number of simultaneous deliveries"; the start at 5 would be slow.
    default_destination_concurrency_limit: '50',
    initial_destination_concurrency: '20',
    // qmgr(8): what is waiting is not left in incoming.
    qmgr_message_active_limit: '50000',
    qmgr_message_recipient_limit: '50000',
    // CONNECTION_CACHE_README: connections are used again, not only on demand.
    smtp_connection_cache_destinations: 'static:all',
    smtp_connection_reuse_count_limit: '100',
    // The one client is not throttled: no limits of anvil(8).
    smtpd_client_connection_count_limit: '0',
    smtpd_client_event_limit_exceptions: 'static:all',
    message_size_limit: '104857600',
    smtp_tls_security_level: 'none',
    smtpd_tls_chain_files: `${at('etc/tls.key')}, ${at('etc/tls.pem')}`,
    smtpd_sasl_type: 'cyrus',
    cyrus_sasl_config_path: at('etc/sasl'),
    smtpd_sasl_path: 'smtpd',
    smtpd_sasl_local_domain: SENDER_DOMAIN,
    // MILTER_README: a socket of the machine, and mail that cannot be signed waits.
    smtpd_milters: `unix:${at('opendkim.sock')}`,
    milter_default_action: 'tempfail',
  }
}

/** master.cf: three doors, in clear, in TLS, and one past the milter. Nothing in a chroot. */
function services(ports: Readonly<Record<'plain' | 'tls' | 'unsigned', number>>): string {
  return `127.0.0.1:${ports.plain} inet n - n - - smtpd
127.0.0.1:${ports.tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
127.0.0.1:${ports.unsigned} inet n - n - - smtpd -o smtpd_milters=
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
smtp      unix       - - n -     - smtp
error     unix       - - n -     - error
retry     unix       - - n -     - error
scache    unix       - - n -     1 scache
anvil     unix       - - n -     1 anvil
proxymap  unix       - - n -     - proxymap
postlog   unix-dgram n - n -     1 postlogd
`
}

/** opendkim.conf(5): it signs, and only that. */
function opendkimConfiguration(at: (name: string) => string): string {
  return `Mode s
Domain ${SENDER_DOMAIN}
Selector ${SELECTOR}
KeyFile ${at('opendkim.key')}
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
Socket local:${at('opendkim.sock')}
UMask 000
InternalHosts 127.0.0.0/8
ExternalIgnoreList 127.0.0.0/8
Background no
Syslog no
RequireSafeKeys no
`
}

/** @returns what is missing, or null */
export function whyNoPostfix(): string | null {
  return missingPrograms({
    postfix: 'postfix',
    opendkim: 'opendkim',
    saslpasswd2: 'sasl2-bin libsasl2-modules libsasl2-modules-db',
  })
}

export async function startPostfix(around: Surroundings): Promise<System> {
  const at = (name: string) => join(around.folder, name)
  for (const name of ['etc', 'etc/sasl', 'queue', 'data']) mkdirSync(at(name))
  // They give up root before they read.
  chmodSync(around.folder, 0o755)
  execFileSync('chown', ['postfix', at('data')])
  const ports = { plain: await freePort(), tls: await freePort(), unsigned: await freePort() }
  const lines = Object.entries(parameters(at)).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(at('etc/main.cf'), lines.join(''))
  writeFileSync(at('etc/master.cf'), services(ports))
  const transports = Array.from({ length: MOST_DESTINATIONS }, (_, index) => index + 1).map(
    number => `${destination(number)} smtp:[${addressOf(number)}]:${around.sinkPort}\n`,
  )
  writeFileSync(at('etc/transport'), transports.join(''))
  writeFileSync(at('etc/tls.pem'), around.tls.certificate)
  writeFileSync(at('etc/tls.key'), around.tls.key, { mode: 0o600 })
  writeFileSync(
    at('etc/sasl/smtpd.conf'),
    `pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: ${at('sasldb2')}\nmech_list: PLAIN\n`,
  )
  execFileSync('saslpasswd2', ['-p', '-c', '-f', at('sasldb2'), '-u', SENDER_DOMAIN, USERNAME], {
    input: PASSWORD,
  })
  execFileSync('chown', ['postfix', at('sasldb2')])
  writeFileSync(at('opendkim.key'), around.dkimKey, { mode: 0o600 })
  writeFileSync(at('opendkim.conf'), opendkimConfiguration(at))

  const running: Contained[] = []
  const stop = async () => {
    for (const each of running) await each.stop()
  }
  const log = () => running.map(each => each.said()).join('') + read(at('mail.log'))
  try {
    running.push(
      contain({
        processes: around.processes,
        log: at('opendkim.log'),
        command: ['opendkim', '-f', '-x', at('opendkim.conf')],
      }),
    )
    running.push(
      contain({
        processes: around.processes,
        log: at('postfix.log'),
        command: ['postfix', '-c', at('etc'), 'start-fg'],
      }),
    )
    for (const port of Object.values(ports)) {
      await Promise.race([accepting(port, () => true, log), ...running.map(each => each.ended)])
    }
  } catch (error) {
    await stop()
    throw error
  }
  const door = { ca: null, credentials: null }
  const credentials = { username: USERNAME, password: PASSWORD }
  const version = execFileSync('postconf', ['-d', '-h', 'mail_version'], { encoding: 'utf8' }).trim()
  return {
    version,
    doors: {
      plain: { ...door, port: ports.plain },
      tls: { port: ports.tls, ca: around.tls.ca, credentials },
      unsigned: { ...door, port: ports.unsigned },
    },
    processes: around.processes,
    stop,
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-5000)
  } catch {
    return ''
  }
}
