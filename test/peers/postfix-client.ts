/**
 * Postfix as a client: what it is given goes to one server, with SASL over TLS, as from a host that has a provider. Ends
 * with 0 when the server took the message for every recipient, 1 when it is deferred or has bounced; what it says is its
 * log.
 */

import { writeFileSync } from 'node:fs'
import { Dialog } from '../e2e/dialog.ts'
import type { Submission } from './client.ts'
import { commands, literally, stuffed, type Wishes } from './mta.ts'
import { freePort } from './port.ts'
import { instanceFolder, startInstance } from './postfix-instance.ts'
import { accepting, type Finished } from './program.ts'

export interface PostfixClientOptions {
  /** STARTTLS on a port that begins in clear text; else TLS from the first octet (`smtp_tls_wrappermode`). */
  readonly starttls?: boolean
  /** The mechanisms it may use; else all that its Cyrus SASL has and finds safe. */
  readonly mechanisms?: string
  readonly wishes?: Wishes
}

/** master(5): what takes messages and what sends them. */
const services = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
smtp unix - - n - - smtp
scache unix - - n - 1 scache`

export async function postfixClient(
  submission: Submission,
  options: PostfixClientOptions = {},
): Promise<Finished> {
  const folder = await instanceFolder('postfix-client')
  const port = await freePort()
  const server = `[${submission.host ?? 'localhost'}]:${submission.port}`
  const passwords = `${server} ${submission.username}:${submission.password}\n`
  writeFileSync(folder.at('etc/passwords'), passwords, { mode: 0o600 })
  const postfix = await startInstance(
    folder,
    {
      myhostname: 'client.example.test',
      mynetworks: '127.0.0.0/8',
      relayhost: server,
      smtp_host_lookup: 'native',
      smtp_sasl_auth_enable: 'yes',
      smtp_sasl_password_maps: `texthash:${folder.at('etc/passwords')}`,
      // As is usual: without plaintext mechanisms where there is no TLS.
      smtp_sasl_security_options: 'noanonymous, noplaintext',
      smtp_sasl_tls_security_options: 'noanonymous',
      smtp_sasl_mechanism_filter: options.mechanisms ?? '',
      smtp_tls_security_level: 'secure',
      smtp_tls_wrappermode: options.starttls ? 'no' : 'yes',
      smtp_tls_CAfile: submission.ca,
      smtp_tls_loglevel: '1',
    },
    services(port),
  )
  try {
    await accepting(port, () => true, postfix.log)
    const dialog = await Dialog.plain(port)
    await dialog.expect(220)
    for (const line of commands(submission, options.wishes))
      await dialog.say(line, line === 'DATA' ? 354 : 250)
    dialog.send(stuffed(submission))
    await dialog.expect(250, 'the message')
    await dialog.say('QUIT', 221)
    let sent = true
    for (const recipient of submission.to) {
      const outcome = new RegExp(`to=<${literally(recipient)}>, .*status=(\\w+) \\(.*\\)`)
      const [, status] = await postfix.logged(outcome)
      if (status !== 'sent') sent = false
    }
    return { code: sent ? 0 : 1, output: postfix.log() }
  } finally {
    await postfix.stop()
  }
}
