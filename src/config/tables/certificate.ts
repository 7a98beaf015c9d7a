/** [certificate]: where submission's certificate comes from. */

import * as z from 'zod'
import { type Base, list, oneOf, pathFrom, resolverList, text } from '../field.ts'
import * as kind from '../value.ts'

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory'
const LETS_ENCRYPT_STAGING = 'https://acme-staging-v02.api.letsencrypt.org/directory'

export function certificateTable({ folder }: Base) {
  return z
    .object({
      termsAgreed: yesOrNo()
        .exactOptional()
        .meta({
          description:
            "You have read the CA's terms of service and agree to them (RFC 8555 §7.3): most CAs ask for it.",
          examples: [true],
        }),
      directory: text(acmeDirectory)
        .exactOptional()
        .meta({
          description: "The CA: the URL of its ACME directory. Not set: Let's Encrypt.",
          examples: [LETS_ENCRYPT],
        }),
      staging: yesOrNo()
        .exactOptional()
        .meta({
          description:
            "Let's Encrypt's staging server, to try this out: nobody trusts its certificates. Not set: the real one.",
          examples: [true],
        }),
      ca: pathFrom(folder)
        .exactOptional()
        .meta({
          description: "The CA of the ACME server's own certificate, where it is not one everybody knows.",
          examples: ['acme/ca.pem'],
        }),
      caaIdentities: list(text(kind.domainName), 'a list of names', 'write for example ["letsencrypt.org"]')
        .prefault([])
        .describe('What the CA is called in CAA records (RFC 8659), where its directory does not say.'),
      contact: text(kind.mailbox)
        .exactOptional()
        .meta({
          description: 'Where the CA writes to if something is wrong. Not set: it is told no address.',
          examples: ['postmaster@example.com'],
        }),
      eabKid: text(kind.word)
        .exactOptional()
        .meta({
          description:
            'Who you are to a CA that knows its customers (external account binding, RFC 8555 §7.3.4).',
          examples: ['kid-1'],
        }),
      eabKey: pathFrom(folder)
        .exactOptional()
        .meta({
          description: 'The file with the key it gave you for that, base64url.',
          examples: ['acme/eab.key'],
        }),
      names: list(text(kind.domainName), 'a list of names', 'write for example ["smtp.example.com"]')
        .prefault([])
        .describe('Names the certificate has beside submission.hostname.'),
      keyType: oneOf(['ecdsa-p256', 'rsa-2048'])
        .prefault('ecdsa-p256')
        .describe('The key of the certificate, a new one each time. RSA is for very old mail programs.'),
      state: pathFrom(folder)
        .prefault('acme')
        .describe('The folder of the account key, and of what was tried when.'),
      tsigKey: pathFrom(folder)
        .exactOptional()
        .meta({
          description:
            'A TSIG key that may write TXT at _acme-challenge.<name>, as that of the signer. Not set: that one.',
          examples: ['dns/acme.key'],
        }),
      primary: text(kind.endpoint(53, 1))
        .exactOptional()
        .meta({
          description:
            'The primary DNS server of the names. Not set: that of the signer for its zone, and what the SOA says for others.',
          examples: ['127.0.0.1:53'],
        }),
      resolver: resolverList()
        .refine(servers => servers.length > 0, 'is empty: write for example ["127.0.0.1:53"]')
        .prefault(['127.0.0.1:53'])
        .describe('Resolvers that are asked for CAA, CNAME, SOA and NS records.'),
      authorities: resolverList()
        .prefault([])
        .describe(
          'The servers that must have the challenge before the CA looks. Empty: those of the NS records.',
        ),
      propagationMs: text(kind.wait).prefault('5m').describe('How long they may take.'),
    })
    .refine(table => table.staging === undefined || table.directory === undefined, {
      // Also when another key of the table is wrong.
      when: ({ value }) => value !== undefined,
      path: ['staging'],
      error: "there is a directory as well: staging is Let's Encrypt's, write one of the two",
    })
    .refine(table => (table.eabKid === undefined) === (table.eabKey === undefined), {
      when: ({ value }) => value !== undefined,
      path: ['eabKid'],
      error: 'eab_kid and eab_key are of no use without each other: write both',
    })
    .transform(({ directory, staging, termsAgreed = false, ...table }) => ({
      ...table,
      termsAgreed,
      directory: directory ?? (staging ? LETS_ENCRYPT_STAGING : LETS_ENCRYPT),
    }))
}

function yesOrNo() {
  return z.boolean({
    error: ({ input }) => `${JSON.stringify(input)} is not possible here: write true or false`,
  })
}

const acmeDirectory: kind.Kind<string> = {
  noun: 'the URL of an ACME directory',
  write: `write for example "${LETS_ENCRYPT}"`,
  parse: written => (/^https:\/\//.test(written) && URL.canParse(written) ? written : undefined),
}
