/** An Exim that receives: an MX with STARTTLS for a few domains which puts everything into one Maildir. Only root can. */

import assert from 'node:assert/strict'
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { eximCommand, eximOwner, eximPath, libraries } from './exim-program.ts'
import { freePort } from './port.ts'
import { accepting, start, temporaryFolder } from './program.ts'

export interface Exim {
  readonly port: number
  /** Every message accepted, LF line ends, under Exim's own Received. */
  readonly maildir: string
  /** All it logged (log_selector = +all). */
  log(): string
  stop(): Promise<void>
}

export interface EximOptions {
  readonly hostname?: string
  readonly domains?: readonly string[]
  /** Default 127.0.0.1; all on one port. */
  readonly addresses?: readonly string[]
  /** Statements of the ACL for RCPT, before what accepts. */
  readonly rcptAcl?: string
  /** Of the main section: more of them, or others. */
  readonly parameters?: Readonly<Record<string, string>>
  /** A free one when not given: beside others on other addresses. */
  readonly port?: number
}

export async function startExim(options: EximOptions = {}): Promise<Exim> {
  const { hostname = 'mx.internet.test', domains = ['internet.test'], addresses = ['127.0.0.1'] } = options
  const folder = temporaryFolder('exim')
  const at = (name: string) => join(folder.path, name)
  const owner = eximOwner()
  for (const name of ['spool', 'log', 'mail', 'mail/tmp', 'mail/new', 'mail/cur']) {
    mkdirSync(at(name))
    chownSync(at(name), owner, owner)
  }
  const { certificate, key } = await issue(await makeAuthority(hostname), { names: [hostname] })
  for (const [name, pem] of [
    ['certificate.pem', certificate],
    ['key.pem', key],
  ] as const) {
    writeFileSync(at(name), pem, { mode: 0o600 })
    chownSync(at(name), owner, owner)
  }
  const port = options.port ?? (await freePort())
  const parameters: Record<string, string> = {
    primary_hostname: hostname,
    exim_path: eximPath(folder.path),
    spool_directory: at('spool'),
    log_file_path: at('log/%s'),
    log_selector: '+all',
    keep_environment: 'LD_LIBRARY_PATH',
    // Everything is done as its own user.
    deliver_drop_privilege: 'true',
    local_interfaces: `<; ${addresses.join(' ; ')}`,
    daemon_smtp_ports: String(port),
    tls_advertise_hosts: '*',
    tls_certificate: at('certificate.pem'),
    tls_privatekey: at('key.pem'),
    dsn_advertise_hosts: '*',
    smtputf8_advertise_hosts: '*',
    acl_smtp_rcpt: 'rcpt',
    ...options.parameters,
  }
  const lines = Object.entries(parameters).map(([name, value]) => `${name} = ${value}\n`)
  // It starts itself again as its own user, who has to be able to read this, and not to write.
  writeFileSync(
    at('exim.conf'),
    `${lines.join('')}${sections(domains, at('mail'), owner, options.rcptAcl ?? '')}`,
    { mode: 0o644 },
  )
  const [program = '', ...before] = eximCommand(folder.path)
  const daemon = start(program, [...before, '-C', at('exim.conf'), '-bdf'], { env: libraries(folder.path) })
  const log = (): string =>
    ['main', 'reject', 'panic']
      .map(name => at(`log/${name}`))
      .filter(existsSync)
      .map(file => readFileSync(file, 'utf8'))
      .join('')
  const alive = (): boolean => daemon.process.exitCode === null && daemon.process.pid !== undefined
  await accepting(port, alive, () => `${daemon.output()}${log()}`, addresses[0])
  return {
    port,
    maildir: at('mail'),
    log,
    async stop() {
      await daemon.stop()
      assert.notEqual(daemon.process.signalCode ?? daemon.process.exitCode, null)
      folder.remove()
    },
  }
}

function sections(domains: readonly string[], maildir: string, owner: number, rcptAcl: string): string {
  return `
domainlist ours = ${domains.join(' : ')}

begin acl
rcpt:
  warn control = dkim_disable_verify
  ${rcptAcl}
  accept domains = +ours
  deny message = relay not permitted

begin routers
all:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = ${maildir}
  user = ${owner}
  group = ${owner}
`
}
