/**
 * Exim as a client: what it is given goes to one server, with AUTH over TLS. Ends with 0 when the server took the message
 * for every recipient, 1 when it is deferred or has bounced; what it says is its log.
 */

import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Submission } from './client.ts'
import { exim, eximOwner, eximPath } from './exim-program.ts'
import { commands, literally, stuffed, type Wishes } from './mta.ts'
import { type Finished, temporaryFolder } from './program.ts'

export interface EximClientOptions {
  /** STARTTLS on a port that begins in clear text; else TLS from the first octet (`protocol = smtps`). */
  readonly starttls?: boolean
  /** Its authenticators, in order of preference. */
  readonly mechanisms?: readonly ('PLAIN' | 'LOGIN')[]
  readonly wishes?: Wishes
}

export async function eximClient(submission: Submission, options: EximClientOptions = {}): Promise<Finished> {
  const folder = temporaryFolder('exim-client')
  const at = (name: string) => join(folder.path, name)
  try {
    for (const name of ['spool', 'log']) {
      mkdirSync(at(name))
      chownSync(at(name), eximOwner(), eximOwner())
    }
    writeFileSync(at('exim.conf'), configuration(folder.path, submission, options), { mode: 0o600 })
    // It queues what it is given by SMTP; a queue run ends when everything has been tried.
    const command = ['-C', at('exim.conf'), '-odq']
    const lines = commands(submission, options.wishes).map(line => `${line}\r\n`)
    const input = `${lines.join('')}${stuffed(submission)}QUIT\r\n`
    const taken = await exim(folder.path, [...command, '-bs'], { input })
    assert.equal(taken.code, 0, taken.output)
    const tried = await exim(folder.path, [...command, '-q'])
    assert.equal(tried.code, 0, tried.output)
    const log = readFileSync(at('log/main'), 'utf8')
    const sent = submission.to.every(to => new RegExp(` [=-]> ${literally(to)} .* C="250 `).test(log))
    return { code: sent ? 0 : 1, output: log }
  } finally {
    folder.remove()
  }
}

function configuration(folder: string, submission: Submission, options: EximClientOptions): string {
  const { host = 'localhost', port, ca } = submission
  // A colon is doubled in a list, a circumflex stands for NUL.
  const [user, password] = [submission.username, submission.password].map(text =>
    text.replaceAll('^', '^^').replaceAll(':', '::'),
  )
  const authenticators = {
    PLAIN: `client_send = ^${user}^${password}`,
    LOGIN: `client_send = : ${user} : ${password}`,
  }
  return `
primary_hostname = client.example.test
exim_path = ${eximPath(folder)}
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%s
log_selector = +all
keep_environment = LD_LIBRARY_PATH
tls_advertise_hosts =
dsn_advertise_hosts = *
acl_smtp_rcpt = accept

begin routers
provider:
  driver = manualroute
  route_list = * ${host}::${port} byname
  self = send
  transport = submission

begin transports
submission:
  driver = smtp
  protocol = ${options.starttls ? 'smtp' : 'smtps'}
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  tls_verify_certificates = ${ca}

begin retry
* * F,1h,1h

begin authenticators
${(options.mechanisms ?? ['PLAIN', 'LOGIN'])
  .map(name => `${name}:\n  driver = plaintext\n  public_name = ${name}\n  ${authenticators[name]}\n`)
  .join('')}`
}
