/**
 * A Postfix that receives: an MX with STARTTLS for a few domains which puts everything into one Maildir.
 */

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { need, needRoot } from './need.ts'
import { freePort } from './port.ts'
import { instanceFolder, startInstance } from './postfix-instance.ts'
import { accepting, run } from './program.ts'

export interface Postfix {
  readonly port: number
  /** Every message accepted, LF line ends, under Postfix's own Return-Path, X-Original-To, Delivered-To, Received. */
  readonly maildir: string
  /** For `MAIL_CONFIG`: where main.cf is. */
  readonly configuration: string
  /** The file of its CA (the certificate itself: self-signed). */
  readonly certificate: string
  /** All it logged. */
  log(): string
  /** The first match in what it logged and will log. */
  logged(pattern: RegExp): Promise<RegExpExecArray>
  stop(): Promise<void>
}

export interface PostfixOptions {
  readonly hostname?: string
  readonly domains?: readonly string[]
  /** More lines of main.cf, as `name: value`. */
  readonly parameters?: Readonly<Record<string, string>>
  /** A free one when not given. */
  readonly port?: number
  /** More addresses of 127.0.0.0/8 on the same port, each with settings of its own: `{ '127.0.0.2': ['name=value'] }`. */
  readonly listeners?: Readonly<Record<string, readonly string[]>>
}

/** As `need`, for all that `startPostfix` wants. */
export function needPostfix(t: TestContext): boolean {
  return need(t, 'postfix', 'openssl') && needRoot(t, 'start a Postfix')
}

const NOBODY = 65534

export async function startPostfix(options: PostfixOptions = {}): Promise<Postfix> {
  const hostname = options.hostname ?? 'mx.internet.test'
  const folder = await instanceFolder('postfix')
  const { at } = folder
  for (const name of ['tmp', 'new', 'cur']) mkdirSync(at(`mail/all/${name}`), { recursive: true })
  const given = await run('chown', ['-R', String(NOBODY), at('mail')])
  assert.equal(given.code, 0, given.output)
  const certified = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-keyout', at('etc/key.pem'), '-out', at('etc/certificate.pem')],
    // The address too: swaks of 2024 compares what it was told to connect to.
    ...['-subj', `/CN=${hostname}`, '-addext', `subjectAltName=DNS:${hostname},IP:127.0.0.1`],
  ])
  assert.equal(certified.code, 0, certified.output)

  const port = options.port ?? (await freePort())
  const parameters: Record<string, string> = {
    myhostname: hostname,
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
  const { log, logged, stop } = await startInstance(
    folder,
    parameters,
    services(port, options.listeners ?? {}),
  )
  await accepting(port, () => true, log)
  const [maildir, configuration, certificate] = [at('mail/all'), at('etc'), at('etc/certificate.pem')]
  return { port, maildir, configuration, certificate, log, logged, stop }
}

/** master(5): what receiving and storing needs, and no smtp(8): this one sends nothing. */
function services(port: number, listeners: Readonly<Record<string, readonly string[]>>): string {
  const smtpd = Object.entries({ '127.0.0.1': [], ...listeners }).map(
    ([address, settings]) =>
      `${address}:${port} inet n - n - - smtpd${settings.map(setting => ` -o ${setting}`).join('')}`,
  )
  return [...smtpd, 'virtual unix - n n - - virtual'].join('\n')
}
