/**
 * ptt.toml as a schema: a table per service, every key with a default but the domain.
 *
 * A key is written here as the code reads it, with its unit (`hopWaitMs`); `tomlKey` gives what the operator writes
 * (`hop_wait`, whose value carries the unit: "10s"). Descriptions become the comments of the file `ptt init` writes.
 */

import { resolve } from 'node:path'
import { z } from 'zod'
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
  const path = text({ ...kind.path, parse: written => kind.path.parse(written) && resolve(folder, written) })
  const repository = text({
    ...kind.path,
    noun: 'a repository',
    write: 'write a path, or a URL such as "https://git.example.com/users.git"',
    parse: written =>
      kind.isRemote(written)
        ? written
        : kind.path.parse(written) && resolve(folder, written.replace(/^file:(?!\/\/)/, '')),
  })
  const hop = (role: string) => ({
    hopCertificate: path
      .prefault(`hop/${role}.pem`)
      .describe(`The certificate ${role} shows to its neighbours; its name is ${hopName(role)}.`),
    hopKey: path.prefault(`hop/${role}.key`).describe('Its private key: readable by the service only.'),
  })
  const resolvers = z.preprocess(
    written => (typeof written === 'string' ? [written] : written),
    list(text(kind.endpoint(53, 1)), 'a list of addresses', 'write for example ["127.0.0.1:53"]'),
  )

  const directory = z
    .object({
      repository: repository
        .prefault('users.git')
        .describe('The Git repository of users, senders and aliases: a path or a URL that git understands.'),
      branch: text(kind.word).prefault('main').describe('The branch that is the authority.'),
      intervalMs: text(kind.wait)
        .exactOptional()
        .meta({
          description:
            'How often it is looked at. Not set: 5s for a repository on this machine, 30s for another.',
          examples: ['30s'],
        }),
      require: oneOf(['fast-forward', 'signed'])
        .prefault('fast-forward')
        .describe(
          'What a new commit must be: a descendant of the one in force, so that nobody can rewrite who was allowed what. "signed": by somebody named below, too.',
        ),
      allowedSigners: path.exactOptional().meta({
        description: 'Whose ssh signatures count: a file as in ssh-keygen(1), ALLOWED SIGNERS.',
        examples: ['allowed_signers'],
      }),
      keyring: path.exactOptional().meta({
        description: 'Whose OpenPGP signatures count: public keys, as gpg --export --armor writes them.',
        examples: ['signers.asc'],
      }),
      alarmAfterMs: text(kind.duration)
        .prefault('15m')
        .describe('An alarm is raised when the repository cannot be reached for this long.'),
    })
    .superRefine(({ require, allowedSigners, keyring }, context) => {
      const named = allowedSigners !== undefined || keyring !== undefined
      if (require === 'signed' && !named)
        context.addIssue({
          code: 'custom',
          path: ['require'],
          message: 'nobody may sign: name them in allowed_signers or keyring',
        })
      const unused = allowedSigners === undefined ? 'keyring' : 'allowedSigners'
      if (require !== 'signed' && named)
        context.addIssue({
          code: 'custom',
          path: [unused],
          message: 'signatures are not asked for: write require = "signed" as well',
        })
    })
    .transform(table => ({
      ...table,
      intervalMs:
        table.intervalMs ??
        (/^(?!file:)/.test(table.repository) && kind.isRemote(table.repository) ? 30_000 : 5_000),
    }))

  const oauth = z.object({
    issuer: text(kind.word).meta({
      description: 'Who issues the tokens: "iss" must be this.',
      examples: ['https://login.example.com'],
    }),
    audience: text(kind.word).meta({
      description: 'Whom they are for: "aud" must be this, or have it.',
      examples: ['https://mail.example.com'],
    }),
    jwks: text({
      ...kind.path,
      noun: 'a JSON Web Key Set',
      write: 'write the path of a file, or an https:// URL',
      parse: written => {
        if (/^https:\/\//.test(written)) return URL.canParse(written) ? written : undefined
        return kind.isRemote(written) ? undefined : kind.path.parse(written) && resolve(folder, written)
      },
    }).meta({
      description: "The issuer's public keys (RFC 7517): an https:// URL or a file.",
      examples: ['https://login.example.com/.well-known/jwks.json'],
    }),
    usernameClaim: text(kind.word).prefault('email').describe('The claim that names the user.'),
    scope: text(kind.word)
      .exactOptional()
      .meta({
        description: 'A scope that tokens must have. Not set: none.',
        examples: ['smtp'],
      }),
  })

  const submission = z.object({
    hostname: text(kind.domainName)
      .prefault(`mail.${domain}`)
      .describe('The name users configure in their mail programs; the certificate must carry it.'),
    listen: text(kind.endpoint(465, 0))
      .prefault('[::]:465')
      .describe('Where mail programs connect, TLS from the first octet (RFC 8314 §3.3).'),
    listenStarttls: text(kind.endpoint(587, 0))
      .exactOptional()
      .meta({
        description: 'A second door, with STARTTLS, for programs that cannot do without. Not set: none.',
        examples: ['[::]:587'],
      }),
    certificate: path
      .prefault('tls/submission.pem')
      .describe('The certificate (chain) mail programs see, PEM.'),
    key: path.prefault('tls/submission.key').describe('Its private key, PEM.'),
    ...hop('submission'),
    signer: text(kind.endpoint(2525, 1)).prefault('127.0.0.1:2525').describe('Where the signer is.'),
    auth: list(oneOf(MECHANISMS), 'a list of mechanisms', 'write for example ["SCRAM-SHA-256", "PLAIN"]')
      .refine(names => names.length > 0, 'is empty: nobody could sign in; write for example ["PLAIN"]')
      .prefault([...USUAL_MECHANISMS])
      .describe(
        'How users may sign in (SASL), the best first; what cannot work on a connection is not offered there. There are also SCRAM-SHA-1-PLUS and SCRAM-SHA-1, for users who have a verifier for it.',
      ),
    clientCa: path.exactOptional().meta({
      description:
        'The CA of client certificates: who shows one whose rfc822Name is a user may sign in with EXTERNAL. Not set: none is asked for.',
      examples: ['tls/clients.pem'],
    }),
    oauth: oauth.exactOptional().describe('Whose tokens OAUTHBEARER and XOAUTH2 take (RFC 7628).'),
    maxMessageOctets: text(kind.size)
      .prefault('25 MiB')
      .describe('Longer messages are refused (SIZE, RFC 1870).'),
    maxRecipients: integer(1, 100_000)
      .prefault(1000)
      .describe('More recipients than this wait for another transaction (RCPTMAX, RFC 9422).'),
    maxTransactions: integer(1, 999_999)
      .prefault(100_000)
      .describe('More messages than this wait for another session (MAILMAX, RFC 9422).'),
    maxRecipientDomains: integer(1, 999_999)
      .exactOptional()
      .meta({
        description:
          'Recipients of more domains wait for another session (RCPTDOMAINMAX, RFC 9422). Not set: no limit.',
        examples: [1000],
      }),
    maxErrors: integer(1, 1000)
      .prefault(20)
      .describe('A client that sends more nonsense than this is disconnected (RFC 5321 §7.8).'),
    maxAuthFailures: integer(3, 1000)
      .prefault(3)
      .describe('After as many wrong passwords a client is disconnected (RFC 4954 §9).'),
    maxHoldSeconds: text(nineDigits)
      .prefault('30d')
      .describe('A user may have a message held for this long (FUTURERELEASE, RFC 4865).'),
    minDeliverBySeconds: text(nineDigits)
      .prefault('1m')
      .describe('A user may not ask for a message back sooner than after this (DELIVERBY with R, RFC 2852).'),
    maxPriority: integer(0, 9)
      .prefault(0)
      .describe(
        'The highest priority a user may ask for; a higher one is lowered to it (MT-PRIORITY, RFC 6710).',
      ),
    clone: path.prefault('clones/submission.git').describe('Its own clone of the repository of users.'),
    hopWaitMs: text(kind.wait)
      .prefault('10s')
      .describe('How long a client waits for a signer that does not answer before it is told 451.'),
    idleMs: text(kind.wait)
      .prefault('5m')
      .describe('A client that says nothing for this long is disconnected (RFC 5321 §4.5.3.2.7).'),
  })

  const signer = z
    .object({
      listen: text(kind.endpoint(2525, 0))
        .prefault('127.0.0.1:2525')
        .describe('Where submission and relay connect.'),
      ...hop('signer'),
      relay: text(kind.endpoint(2526, 1)).prefault('127.0.0.1:2526').describe('Where the relay is.'),
      selector: text(kind.selector)
        .prefault('ptt')
        .describe('The public key is published at <selector>._domainkey.<domain> (RFC 6376 §3.6.2.1).'),
      key: path.exactOptional().meta({
        description: 'The DKIM private key, PEM, RSA. Not set, and no seed: "dkim/<selector>.pem".',
        examples: ['dkim/ptt.pem'],
      }),
      seed: path.exactOptional().meta({
        description: 'Or a file with a seed, from which the same key is derived on any machine.',
        examples: ['dkim/seed'],
      }),
      earlierKeys: list(path, 'a list of paths', 'write for example ["dkim/ptt-2025.pem"]')
        .prefault([])
        .describe(
          'Keys of ours, PEM, that were published under this selector: their record may be replaced.',
        ),
      bits: oneOf([2048, 3072, 4096])
        .prefault(2048)
        .describe('The length of a key derived from a seed (RFC 8301 §3.2).'),
      expirationMs: text(kind.duration)
        .exactOptional()
        .meta({
          description: 'Signatures expire after this long (x= of RFC 6376 §3.5). Not set: they do not.',
          examples: ['7d'],
        }),
      primary: text(kind.endpoint(53, 1))
        .prefault('127.0.0.1:53')
        .describe('The primary DNS server, which takes the public key by UPDATE (RFC 2136).'),
      zone: text(kind.domainName)
        .prefault(domain)
        .refine(
          zone => domain === zone || domain.endsWith(`.${zone}`),
          `does not hold the key's name: write ${JSON.stringify(domain)}, or a zone above it`,
        )
        .describe('The zone that is updated.'),
      tsigKey: path
        .prefault('dns/tsig.key')
        .describe('The file with the TSIG key (RFC 8945), one line NAME:ALGORITHM:BASE64.'),
      ttlSeconds: text({ ...kind.duration, parse: wholeSeconds })
        .prefault('1h')
        .describe('The TTL of the published key.'),
      resolver: resolvers
        .prefault([])
        .describe('Resolvers that must see the public key too before it is signed with.'),
      hopWaitMs: text(kind.wait)
        .prefault('10s')
        .describe('How long submission waits for a relay that does not answer before it is told 451.'),
      clone: path
        .prefault('clones/signer.git')
        .describe(
          'Its own clone of the repository of users: it signs for a user only what he may send, whatever submission says.',
        ),
      budgetPerHour: integer(1, 1_000_000_000)
        .exactOptional()
        .meta({
          description:
            'More messages an hour are refused, with an alarm: what somebody could send at most who has broken into submission. Not set: no limit.',
          examples: [10_000],
        }),
    })
    .refine(table => table.key === undefined || table.seed === undefined, {
      // Also when another key of the table is wrong.
      when: () => true,
      path: ['seed'],
      error: 'there is a key as well: write key or seed, not both',
    })
    .transform(
      ({ key, seed, ...table }) =>
        ({
          ...table,
          ...(seed === undefined ? { key: key ?? resolve(folder, `dkim/${table.selector}.pem`) } : { seed }),
        }) as typeof table & { key?: string; seed?: string },
    )

  const relay = z.object({
    hostname: text(kind.domainName)
      .prefault(`mail.${domain}`)
      .describe(
        'The name in EHLO and Received. It should resolve to this machine, and back (RFC 5321 §4.1.1.1).',
      ),
    listen: text(kind.endpoint(2526, 0)).prefault('127.0.0.1:2526').describe('Where the signer connects.'),
    ...hop('relay'),
    signer: text(kind.endpoint(2525, 1))
      .prefault('127.0.0.1:2525')
      .describe("Where the signer is: the relay's own notices are signed as well."),
    engine: oneOf(['embedded', 'memory'])
      .prefault('embedded')
      .describe('"embedded" keeps the spool on disk. "memory" loses it at each stop: for tests only.'),
    spool: path.prefault('spool').describe('The folder of the spool: the only place where mail rests.'),
    resolver: resolvers
      .refine(servers => servers.length > 0, 'is empty: write for example ["127.0.0.1:53"]')
      .prefault(['127.0.0.1:53'])
      .describe('The resolver the relay trusts. One that validates DNSSEC, on this machine, is best.'),
    smtpPort: integer(1, 65_535).prefault(25).describe('The port of other mail servers.'),
    concurrency: integer(1, 1000).prefault(20).describe('Connections at a time to one destination.'),
    retryMs: list(text(kind.duration), 'a list of durations', 'write for example ["5m", "1h", "4h"]')
      .refine(times => times.length > 0, 'is empty: write for example ["5m", "1h", "4h"]')
      .prefault(['5m', '10m', '20m', '40m', '1h', '2h', '4h'])
      .describe('The wait before each new attempt; the last one repeats.'),
    expireMs: text(kind.duration)
      .prefault('5d')
      .describe('A message that was not delivered in this time goes back to its sender (RFC 5321 §4.5.4.1).'),
    warnMs: text(kind.duration)
      .prefault('4h')
      .describe('After this time the sender is told that a message is not delivered yet (RFC 3461 §5.2.5).'),
    clone: path
      .prefault('clones/relay.git')
      .describe('Its own clone of the repository of users: where aliases and users with targets lead.'),
    connectMs: text(kind.wait).prefault('30s').describe('How long to wait for a connection to one address.'),
  })

  const hook = (service: string, port: number) =>
    text(kind.endpoint(port, 0))
      .exactOptional()
      .meta({
        description: `Where ${service} hears of a push. Not set: nowhere.`,
        examples: [`127.0.0.1:${port}`],
      })
  const hooks = z.object({
    secret: path
      .prefault('hooks.secret')
      .describe('The file with the secret that the Git host knows too: openssl rand -hex 32.'),
    submission: hook('submission', 8418),
    signer: hook('the signer', 8419),
    relay: hook('the relay', 8420),
  })

  const wait = (least: string, what: string) => text(kind.wait).prefault(least).describe(what)
  const timeouts = z.object({
    greetingMs: wait('5m', 'For the greeting (RFC 5321 §4.5.3.2.1: at least 5m).'),
    ehloMs: wait('5m', 'For the reply to EHLO.'),
    starttlsMs: wait('5m', 'For the reply to STARTTLS, and for the handshake.'),
    mailMs: wait('5m', 'For the reply to MAIL (RFC 5321 §4.5.3.2.2: at least 5m).'),
    rcptMs: wait('5m', 'For the reply to RCPT (RFC 5321 §4.5.3.2.3: at least 5m).'),
    dataMs: wait('2m', 'For the 354 (RFC 5321 §4.5.3.2.4: at least 2m).'),
    dataBlockMs: wait('3m', 'For each block of content to be taken (RFC 5321 §4.5.3.2.5: at least 3m).'),
    dataTerminationMs: wait('10m', 'For the reply to the message (RFC 5321 §4.5.3.2.6: at least 10m).'),
    rsetMs: wait('20s', 'For the reply to RSET.'),
  })

  const send = z.object({
    server: text(kind.endpoint(465, 1)).prefault('127.0.0.1:465').describe('The submission server.'),
    username: text(kind.word).meta({
      description: 'The user, as in the repository.',
      examples: ['alice@example.com'],
    }),
    passwordFile: path.meta({ description: 'The file with his password.', examples: ['send.password'] }),
    ca: path.exactOptional().meta({
      description: "The CA of the server's certificate, where it is not one everybody knows.",
      examples: ['hop/ca.pem'],
    }),
  })

  return z.object({
    domain: text(kind.domainName).describe('The domain you send mail for.'),
    postmaster: text(kind.mailbox)
      .prefault(`postmaster@${domain}`)
      .describe('Who notices to senders come from, and who reads what goes wrong.'),
    hop: z
      .object({
        ca: path.prefault('hop/ca.pem').describe('The CA that signed the certificates of all three.'),
      })
      .prefault({})
      .describe('What the three services share to know each other.'),
    directory: directory.prefault({}).describe('Who may send, and as whom.'),
    submission: submission.prefault({}).describe('Submission (LIPAP): takes mail from your users.'),
    signer: signer.prefault({}).describe('Signer (NEC): signs it with DKIM and keeps the public key in DNS.'),
    relay: relay.prefault({}).describe('Relay (MTI-GF): keeps it on disk until it is delivered.'),
    timeouts: timeouts.prefault({}).describe('How long the relay waits for another mail server.'),
    hooks: hooks
      .exactOptional()
      .describe(
        'POST /hooks/git of GitHub, Gitea or GitLab: a push is looked at when it comes. HTTP without TLS, for a reverse proxy.',
      ),
    send: send.exactOptional().describe('What `ptt send` uses.'),
  })
}

/** What `smtp/sasl.ts` has, the best first. */
const USUAL_MECHANISMS = [
  'SCRAM-SHA-256-PLUS',
  'SCRAM-SHA-256',
  'OAUTHBEARER',
  'XOAUTH2',
  'EXTERNAL',
  'PLAIN',
  'LOGIN',
] as const
export const MECHANISMS = [...USUAL_MECHANISMS, 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1'] as const

/** The SAN of a hop certificate. */
export function hopName(role: string): string {
  return `${role}.ptt.internal`
}

function text<T>({ noun, write, parse }: kind.Kind<T>) {
  return z.string({ error: issue => complaint(issue.input, noun, write) }).transform((written, context) => {
    const value = parse(written)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: complaint(written, noun, write) })
    return z.NEVER
  })
}

function integer(lowest: number, highest: number) {
  const error = (issue: { input?: unknown }) =>
    complaint(issue.input, 'possible here', `write a whole number from ${lowest} to ${highest}`)
  return z
    .number({ error })
    .refine(number => Number.isInteger(number) && number >= lowest && number <= highest, { error })
}

function oneOf<const T extends readonly (string | number)[]>(values: T) {
  const written = values.map(value => JSON.stringify(value)).join(' or ')
  return z.literal(values, { error: issue => complaint(issue.input, 'possible here', `write ${written}`) })
}

function list<T extends z.ZodType>(element: T, noun: string, write: string) {
  return z.array(element, { error: issue => complaint(issue.input, noun, write) })
}

function complaint(written: unknown, noun: string, write: string): string {
  return written === undefined
    ? `is missing: ${write}`
    : `${JSON.stringify(written)} is not ${noun}: ${write}`
}

/** What RFC 4865 §3 and RFC 2852 §2 can say. */
const nineDigits: kind.Kind<number> = {
  noun: 'a duration of 1s to 999999999s',
  write: kind.duration.write,
  parse(written) {
    const seconds = wholeSeconds(written)
    return seconds !== undefined && seconds >= 1 && seconds <= 999_999_999 ? seconds : undefined
  },
}

function wholeSeconds(written: string): number | undefined {
  const ms = kind.duration.parse(written)
  return ms === undefined ? undefined : Math.round(ms / 1000)
}
