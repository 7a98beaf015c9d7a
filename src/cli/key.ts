/**
 * `ptt key`: the DKIM keys. What it shows it reads from the signer's state folder; what it changes it asks the signer for,
 * by a file in that folder (signer/request.ts).
 */

import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Algorithm } from '../dkim/signature.ts'
import { lifeSettings } from '../signer/keep-keys.ts'
import { savedKeys } from '../signer/known-keys.ts'
import { isLive, type Key } from '../signer/life-cycle.ts'
import { askSigner, type KeyRequest, requestPath } from '../signer/request.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { formatKeys, formatPublic, formatStatus, keyJson, type PublicFormat, statusOf } from './key-format.ts'
import { type ConfigOption, configOption } from './options.ts'

interface DomainOption extends ConfigOption {
  readonly domain?: string
}

interface ListOptions extends DomainOption {
  readonly json?: true
  readonly all?: true
}

/** The signer looks for requests every second, and may be looking at DNS meanwhile. */
const WAIT_MS = 30_000

export function keyCommand(): Command {
  return new Command('key')
    .description('look after the DKIM keys: list, make, replace, revoke')
    .addCommand(listCommand())
    .addCommand(statusCommand())
    .addCommand(generateCommand())
    .addCommand(rotateCommand())
    .addCommand(revokeCommand())
    .addCommand(exportCommand())
    .addHelpText(
      'after',
      `
Run it on the machine of the signer, as its user or as root. docs/keys.md tells the life of a key.

Examples:
  ptt key status                       whether mail can be signed, and why not
  ptt key list                         all keys, and what comes next
  ptt key rotate                       new keys now
  ptt key revoke ptt-20261121-k7wq2-rsa --reason "the backup was stolen"`,
    )
}

function listCommand(): Command {
  return new Command('list')
    .description('list the keys: state, since when, what comes next and why')
    .addOption(domainOption('only those of this domain'))
    .option('--all', 'those that were removed in the last 90 days too')
    .option('--json', 'a JSON object per key and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      '\nExamples:\n  ptt key list\n  ptt key list --json | jq -r \'select(.state == "active").name\'',
    )
    .action(({ config: file, domain, json, all }: ListOptions) => {
      const config = loadConfig(file)
      const keys = keysOf(config, domain).filter(key => all || key.stage !== 'removed')
      const settings = lifeSettings(config)
      process.stdout.write(
        json
          ? keys.map(key => `${JSON.stringify(keyJson(key, settings))}\n`).join('')
          : formatKeys(keys, settings, Date.now()),
      )
    })
}

function statusCommand(): Command {
  return new Command('status')
    .description('tell of each domain whether its mail can be signed, and why not')
    .addOption(domainOption('only of this domain'))
    .option('--now', 'have the signer look at DNS first')
    .option('--json', 'a JSON object per domain and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The status is 0 when mail of all domains can be signed, otherwise 1.

Examples:
  ptt key status
  ptt key status --now --domain example.org`,
    )
    .action(async ({ config: file, domain, json, now }: DomainOption & { json?: true; now?: true }) => {
      const config = loadConfig(file)
      if (now) await ask(config, { kind: 'check' })
      const keys = keysOf(config, undefined)
      const domains = domain ? [normalizeDomain(domain)] : domainsOf(config, keys)
      const statuses = statusOf(keys, domains)
      const settings = lifeSettings(config)
      process.stdout.write(
        json
          ? statuses
              .map(each => ({ ...each, keys: each.keys.map(key => keyJson(key, settings)) }))
              .map(each => `${JSON.stringify(each)}\n`)
              .join('')
          : formatStatus(statuses, settings, Date.now()),
      )
      if (statuses.some(({ signs }) => !signs)) process.exitCode = 1
    })
}

interface MakeOptions extends DomainOption {
  readonly algorithm?: 'rsa' | 'ed25519'
  readonly bits?: string
  readonly selector?: string
}

function generateCommand(): Command {
  return making(
    new Command('generate')
      .description('make a new key of a domain, beside what it has')
      .option('--selector <selector>', 'its selector, instead of one by the template'),
  )
    .addHelpText(
      'after',
      `
The signer publishes it, and signs with it when its record is seen everywhere. Of the keys the signer has made for a
domain and an algorithm the newest signs; those that ptt.toml names go on signing beside it.

Examples:
  ptt key generate --domain example.org
  ptt key generate --algorithm rsa --bits 4096`,
    )
    .action((options: MakeOptions) => make('generate', options))
}

function rotateCommand(): Command {
  return making(new Command('rotate').description('put new keys in the place of those the signer has made'))
    .addHelpText(
      'after',
      `
Those there are go on signing until the new ones are seen everywhere; then their records stay for as long as something
they have signed can be under way.

Examples:
  ptt key rotate
  ptt key rotate --domain example.org --algorithm rsa`,
    )
    .action((options: MakeOptions) => make('rotate', options))
}

function making(command: Command): Command {
  return command
    .addOption(domainOption('of this domain (default: the one of ptt.toml)'))
    .addOption(new Option('--algorithm <algorithm>', 'only this one').choices(['rsa', 'ed25519']))
    .addOption(
      new Option('--bits <bits>', 'of an RSA key (default: bits of [signer])').choices([
        '2048',
        '3072',
        '4096',
      ]),
    )
    .addOption(configOption())
}

async function make(kind: 'generate' | 'rotate', options: MakeOptions): Promise<void> {
  const { config: file, algorithm, bits, selector } = options
  const config = loadConfig(file)
  const domain = normalizeDomain(options.domain ?? config.domain)
  const done = await ask(config, {
    kind,
    domain,
    ...(algorithm === undefined ? {} : { algorithm: `${algorithm}-sha256` as Algorithm }),
    ...(bits === undefined ? {} : { bits: Number(bits) }),
    ...(selector === undefined ? {} : { selector: selector.toLowerCase() }),
  })
  process.stdout.write(`${done}\n`)
}

function revokeCommand(): Command {
  return new Command('revoke')
    .description('have a key sign no more, and say in DNS that it is revoked')
    .argument('<selector>', 'its selector, as in `ptt key list`')
    .addOption(domainOption('of this domain (default: the one of ptt.toml)'))
    .option('--reason <reason>', 'why, for `ptt key list` and the log', 'revoked by command')
    .option(
      '--when-unused',
      'sign no more at once, but revoke it only when nothing it has signed is under way',
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
For a key that somebody else may have: what it has signed and is still under way will not verify any more. Where the
signer makes the keys, it makes another one at once. One that ptt.toml names never comes back.

Examples:
  ptt key revoke ptt-20261121-k7wq2-rsa --reason "the backup was stolen"
  ptt key revoke ptt --when-unused`,
    )
    .action(async (selector: string, options: DomainOption & { reason: string; whenUnused?: true }) => {
      const config = loadConfig(options.config)
      const done = await ask(config, {
        kind: 'revoke',
        domain: normalizeDomain(options.domain ?? config.domain),
        selector: selector.toLowerCase(),
        reason: options.reason,
        gently: options.whenUnused ?? false,
      })
      process.stdout.write(`${done}\n`)
    })
}

function exportCommand(): Command {
  return new Command('export-public')
    .description('print the records that are to be in DNS, or public keys')
    .argument('[selectors...]', 'only of these keys')
    .addOption(domainOption('only of this domain'))
    .addOption(
      new Option(
        '--format <format>',
        'zone: lines of a zone file; text: the record alone; pem: the public key',
      )
        .choices(['zone', 'text', 'pem'])
        .default('zone'),
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
For a zone that takes no updates: put the lines into it by hand, and the signer signs when it sees them.

Examples:
  ptt key export-public
  ptt key export-public ptt-20261121-k7wq2-rsa --format pem`,
    )
    .action(
      (selectors: string[], { config: file, domain, format }: DomainOption & { format: PublicFormat }) => {
        const config = loadConfig(file)
        const keys = keysOf(config, domain)
        const unknown = selectors.filter(
          selector => !keys.some(key => key.selector === selector.toLowerCase()),
        )
        if (unknown.length > 0)
          throw new Error(`there is no key ${unknown.join(', ')}: ptt key list shows all`)
        const wanted = keys.filter(key =>
          selectors.length === 0
            ? key.stage !== 'removed'
            : selectors.some(one => one.toLowerCase() === key.selector),
        )
        const texts = wanted.map(key => formatPublic(key, format, config.signer.ttlSeconds, Date.now()))
        process.stdout.write(texts.filter(text => text !== null).join(''))
      },
    )
}

function domainOption(what: string): Option {
  return new Option('--domain <domain>', what)
}

function keysOf(config: Config, domain: string | undefined): Key[] {
  const wanted = domain === undefined ? undefined : normalizeDomain(domain)
  return savedKeys(config).filter(key => wanted === undefined || key.domain === wanted)
}

/** The deployment's own first; of the others those with a key that is not history. */
function domainsOf(config: Config, keys: readonly Key[]): string[] {
  return [...new Set([config.domain, ...keys.filter(isLive).map(key => key.domain)])]
}

/** What the signer answers. @throws Error when it does not do it, or does not answer */
async function ask(config: Config, request: KeyRequest): Promise<string> {
  const { state } = config.signer
  // In the order in which they are asked; nobody else has this name.
  const id = `${Date.now()}-${randomBytes(6).toString('hex')}`
  const options = { id, waitMs: WAIT_MS, pause: async (ms: number) => void (await pause(ms)) }
  const answer = await askSigner(state, request, options).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT'
      ? new Error(
          `no signer has run with ${dirname(requestPath(state, id))} yet: start it, it makes the keys`,
        )
      : error
  })
  if (answer === null) {
    const path = requestPath(state, id)
    throw new Error(`the signer does not answer: it will do this when it runs, unless you remove ${path}`)
  }
  if (!answer.ok) throw new Error(answer.text)
  return answer.text
}
