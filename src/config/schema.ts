/**
 * ptt.toml as a schema: a table per service, every key with a default but the domain.
 *
 * A key is written here as the code reads it, with its unit (`hopWaitMs`); `tomlKey` gives what the operator writes
 * (`hop_wait`, whose value carries the unit: "10s"). Descriptions become the comments of the file `ptt init` writes.
 */

import * as z from 'zod'
import { text } from './field.ts'
import { certificateTable } from './tables/certificate.ts'
import { directoryTable } from './tables/directory.ts'
import { dnsTable } from './tables/dns.ts'
import { hooksTable } from './tables/hooks.ts'
import { hopTable } from './tables/hop.ts'
import { limitsTable } from './tables/limits.ts'
import { relayTable, timeoutsTable } from './tables/relay.ts'
import { sendTable } from './tables/send.ts'
import { signerTable } from './tables/signer.ts'
import { submissionTable } from './tables/submission.ts'
import * as kind from './value.ts'

export type Config = z.infer<ReturnType<typeof configSchema>> & {
  /** The file this was read from, an absolute path. */
  readonly file: string
}

/** `hopWaitMs` is written `hop_wait`, `maxMessageOctets` is `max_message_size`, `ttlSeconds` is `ttl`. */
export function tomlKey(key: string): string {
  return key
    .replace(/(?<=.)(?:Ms|Seconds)$/, '')
    .replace(/Octets$/, 'Size')
    .replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

/**
 * @param domain what the defaults of other keys are made of
 * @param folder the folder of ptt.toml: relative paths start there
 */
export function configSchema(domain: string, folder: string) {
  const base = { domain, folder }
  return z.object({
    domain: text(kind.domainName).describe('The domain you send mail for.'),
    postmaster: text(kind.mailbox)
      .prefault(`postmaster@${domain}`)
      .describe('Who notices to senders come from, and who reads what goes wrong.'),
    hop: hopTable(base).prefault({}).describe('What the three services share to know each other.'),
    directory: directoryTable(base).prefault({}).describe('Who may send, and as whom.'),
    submission: submissionTable(base)
      .prefault({})
      .describe('Submission (LIPAP): takes mail from your users.'),
    signer: signerTable(base)
      .prefault({})
      .describe('Signer (NEC): signs it with DKIM and keeps the public key in DNS.'),
    relay: relayTable(base).prefault({}).describe('Relay (MTI-GF): keeps it on disk until it is delivered.'),
    certificate: certificateTable(base)
      .exactOptional()
      .describe(
        "Where submission's certificate comes from: ACME (RFC 8555), proved by a TXT record. Without this table somebody puts it there.",
      ),
    dns: dnsTable(base).prefault({}).describe('What `ptt dns` looks for, and writes, beside the DKIM keys.'),
    timeouts: timeoutsTable().prefault({}).describe('How long the relay waits for another mail server.'),
    limits: limitsTable()
      .prefault({})
      .describe('How long the parts of SMTP may be: more than the RFC asks for, never less. docs/limits.md.'),
    hooks: hooksTable(base)
      .exactOptional()
      .describe(
        'POST /hooks/git of GitHub, Gitea or GitLab: a push is looked at when it comes. HTTP without TLS, for a reverse proxy.',
      ),
    send: sendTable(base).exactOptional().describe('What `ptt send` uses.'),
  })
}
