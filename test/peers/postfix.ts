/**
 * A Postfix that receives: an MX with STARTTLS for a few domains which puts everything into one Maildir. Everything it
 * has lies in a folder of its own, so that the machine's Postfix is left alone.
 */

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { need } from './need.ts'
import { freePort } from './port.ts'
import { accepting, isRoot, run, temporaryFolder } from './program.ts'

export interface Postfix {
  readonly port: number
  /** Every message accepted, LF line ends, under Postfix's own Return-Path, X-Original-To, Delivered-To, Received. */
  readonly maildir: string
  /** The file of its CA (the certificate itself: self-signed). */
  readonly certificate: string
  /** All it logged. */
  log(): string
  stop(): Promise<void>
}

export interface PostfixOptions {
  readonly hostname?: string
  readonly domains?: readonly string[]
  /** More lines of main.cf, as `name: value`. */
  readonly parameters?: Readonly<Record<string, string>>
  /** More addresses of 127.0.0.0/8 on the same port, each with settings of its own: `{ '127.0.0.2': ['name=value'] }`. */
  readonly listeners?: Readonly<Record<string, readonly string[]>>
}

/** Only root can. */
export const canStartPostfix = isRoot

/** As `need`, for all that `startPostfix` wants. */
export function needPostfix(t: TestContext): boolean {
  if (!need(t, 'postfix', 'openssl')) return false
  if (canStartPostfix) return true
  if (process.env.CI === 'true') throw new Error(`${t.name}: only root can start a Postfix`)
  console.error(`SKIPPED: ${t.name}: only root can start a Postfix`)
  t.skip('SKIPPED: only root can start a Postfix')
  return false
}

const NOBODY = 65534

export async function startPostfix(options: PostfixOptions = {}): Promise<Postfix> {
  assert.ok(isRoot, 'only root can start a Postfix')
  const hostname = options.hostname ?? 'mx.internet.test'
  const folder = temporaryFolder('postfix')
  const at = (name: string) => join(folder.path, name)
  for (const name of ['etc', 'queue', 'data', 'mail/all/tmp', 'mail/all/new', 'mail/all/cur']) {
    mkdirSync(at(name), { recursive: true })
  }
  const owned = await run('chown', ['postfix', at('data')])
  assert.equal(owned.code, 0, owned.output)
  const given = await run('chown', ['-R', String(NOBODY), at('mail')])
  assert.equal(given.code, 0, given.output)
  const certified = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-keyout', at('etc/key.pem'), '-out', at('etc/certificate.pem')],
    ...['-subj', `/CN=${hostname}`, '-addext', `subjectAltName=DNS:${hostname}`],
  ])
  assert.equal(certified.code, 0, certified.output)

  const port = await freePort()
  const parameters: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: at('queue'),
    data_directory: at('data'),
    maillog_file_prefixes: folder.path,
    maillog_file: at('mail.log'),
    myhostname: hostname,
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mynetworks: '',
    mydestination: '',
    alias_maps: '',
    alias_database: '',
    smtpd_relay_restrictions: 'reject_unauth_destination',
    virtual_mailbox_domains: (options.domains ?? ['internet.test']).join(', '),
    virtual_mailbox_base: at('mail'),
    virtual_mailbox_maps: 'static:all/',
    virtual_uid_maps: `static:${NOBODY}`,
    virtual_gid_maps: `static:${NOBODY}`,
    smtpd_tls_security_level: 'may',
    smtpd_tls_chain_files: `${at('etc/key.pem')}, ${at('etc/certificate.pem')}`,
    smtpd_tls_loglevel: '1',
    smtpd_tls_received_header: 'yes',
    ...options.parameters,
  }
  const lines = Object.entries(parameters).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(at('etc/main.cf'), lines.join(''))
  writeFileSync(at('etc/master.cf'), masterCf(port, options.listeners ?? {}))
  const started = await run('postfix', ['-c', at('etc'), 'start'])
  const log = () => readFileSync(at('mail.log'), 'utf8')
  assert.equal(started.code, 0, started.output)
  await accepting(port, () => true, log)
  return {
    port,
    maildir: at('mail/all'),
    certificate: at('etc/certificate.pem'),
    log,
    async stop() {
      // Waits until the master process is gone.
      const stopped = await run('postfix', ['-c', at('etc'), 'stop'])
      assert.equal(stopped.code, 0, stopped.output)
      folder.remove()
    },
  }
}

/** master(5): what receiving and storing needs, nothing in a chroot, and no smtp(8): this one sends nothing. */
function masterCf(port: number, listeners: Readonly<Record<string, readonly string[]>>): string {
  const smtpd = Object.entries({ '127.0.0.1': [], ...listeners }).map(
    ([address, settings]) =>
      `${address}:${port} inet n - n - - smtpd${settings.map(setting => ` -o ${setting}`).join('')}`,
  )
  return `${smtpd.join('\n')}
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
error     unix       - - n -     - error
retry     unix       - - n -     - error
virtual   unix       - n n -     - virtual
anvil     unix       - - n -     1 anvil
proxymap  unix       - - n -     - proxymap
postlog   unix-dgram n - n -     1 postlogd
`
}
