/**
 * `ptt init`: everything a deployment is made of, in one folder: certificates, keys, the repository of users with its
 * first one, and ptt.toml. It overwrites nothing.
 *
 * HOLDS the private keys it makes, until they are written (mode 600).
 */

import { generateKeyPair, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { promisify } from 'node:util'
import { Command } from 'commander'
import { loadConfig, nearPath, parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { formatTemplate, type Settings } from '../config/template.ts'
import { isRemote } from '../config/value.ts'
import { edit } from '../directory/edit.ts'
import { git } from '../directory/git.ts'
import { makeVerifier } from '../directory/password.ts'
import { addUser } from '../directory/users.ts'
import { formatTsigKey, type TsigKey } from '../dns/tsig.ts'
import type { KeyPair } from '../net/tls.ts'
import { issue, makeAuthority } from './authority.ts'
import { nextSteps } from './next-steps.ts'
import { readNewPassword } from './read-password.ts'
import { authorityKeyOf, renewHops } from './renew.ts'
import { SERVICES } from './service.ts'

export interface InitializeOptions {
  /** Made when it is not there. */
  readonly dir: string
  readonly domain: string
  /** The first user of the repository; none when not given. */
  readonly user?: { readonly name: string; readonly password: string }
  /** What ptt.toml says beside the domain, in its own keys: `{ relay: { smtp_port: 2500 } }`. */
  readonly settings?: Settings
}

export interface Deployment {
  /** ptt.toml */
  readonly file: string
  readonly config: Config
  readonly tsigKey: TsigKey
  /** The private key of the hop CA: nothing but `ptt init --renew-hops` needs it. */
  readonly authorityKey: string
  /** The first user's whole name. */
  readonly user?: string
}

/** A trial is made from the machine itself. */
const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1']
const DKIM_BITS = 2048
const SECRET = 0o600
const PUBLIC = 0o644

/** @throws Error when a file it would make is there, and then nothing was made; ConfigError for a setting. */
export async function initialize(options: InitializeOptions): Promise<Deployment> {
  const { dir, user, settings } = options
  const file = resolve(dir, 'ptt.toml')
  const toml = formatTemplate(options.domain, settings)
  const config = parseConfig(toml, file)
  const { domain, hop, submission, signer, directory } = config
  const authorityKey = authorityKeyOf(config)
  const tsigKey: TsigKey = {
    name: `ptt._update.${domain}`,
    algorithm: 'hmac-sha256',
    secret: randomBytes(32),
  }

  const authority = await makeAuthority(domain)
  const hops = await Promise.all(
    SERVICES.map(async role => {
      const { hopCertificate, hopKey } = config[role]
      return pair(await issue(authority, { role }), hopCertificate, hopKey)
    }),
  )
  const files: [path: string, text: string, mode: number][] = [
    [hop.ca, authority.certificate, PUBLIC],
    [authorityKey, authority.key, SECRET],
    ...hops.flat(),
    // For the time until the operator puts one there that the world's mail programs trust.
    ...pair(
      await issue(authority, {
        names: [submission.hostname, ...LOCAL_NAMES.filter(name => name !== submission.hostname)],
      }),
      submission.certificate,
      submission.key,
    ),
    [signer.tsigKey, `${formatTsigKey(tsigKey)}\n`, SECRET],
  ]
  // Where ptt.toml names no key, the signer makes its own.
  for (const source of signer.key)
    if (source.kind === 'file') files.push([source.path, await makeDkimKey(), SECRET])
  if (signer.seed?.kind === 'file')
    files.push([signer.seed.path, `${randomBytes(32).toString('base64')}\n`, SECRET])
  // Last: with it the deployment is whole.
  files.push([file, toml, PUBLIC])

  const repository = isRemote(directory.repository) ? undefined : directory.repository
  refuseToOverwrite([...files.map(([path]) => path), ...(repository === undefined ? [] : [repository])])
  const made: string[] = []
  try {
    if (repository !== undefined) {
      mkdirSync(dirname(repository), { recursive: true })
      made.push(repository)
      // What passwords are verified with is in it.
      mkdirSync(repository, { mode: 0o700 })
      const args = [
        'init',
        '--quiet',
        '--bare',
        '--template=',
        `--initial-branch=${directory.branch}`,
        repository,
      ]
      await git(args, { folder: repository, timeoutMs: 30_000 })
    }
    const name = await makeFirstCommit(config, user)
    for (const [path, text, mode] of files) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text, { mode, flag: 'wx' })
      made.push(path)
    }
    return { file, config, tsigKey, authorityKey, ...(name === undefined ? {} : { user: name }) }
  } catch (error) {
    for (const path of made) rmSync(path, { recursive: true, force: true })
    throw error
  }
}

/** The name of the first user, or a repository that has the domain and nobody in it; one elsewhere is left alone. */
async function makeFirstCommit(config: Config, user: InitializeOptions['user']): Promise<string | undefined> {
  const { directory, domain } = config
  const options = { repository: directory.repository, branch: directory.branch, domain, temporary: tmpdir() }
  if (user) {
    const verifier = await makeVerifier(user.password)
    return (await addUser(options, { name: user.name, senders: [], verifier })).user
  }
  if (!isRemote(directory.repository)) {
    await edit(options, `users: Begin with ${domain}`, () => [[`${domain}/domain.toml`, '']])
  }
  return undefined
}

function pair(
  { certificate, key }: KeyPair,
  certificatePath: string,
  keyPath: string,
): [string, string, number][] {
  return [
    [certificatePath, certificate, PUBLIC],
    [keyPath, key, SECRET],
  ]
}

async function makeDkimKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: DKIM_BITS })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function refuseToOverwrite(paths: readonly string[]): void {
  const there = paths.filter(path => existsSync(path))
  if (there.length === 0) return
  throw new Error(`nothing was made, as this is there already: ${there.map(nearPath).join(', ')}`)
}

interface InitOptions {
  readonly dir: string
  readonly domain?: string
  readonly user?: string
  readonly generatePassword?: true
  readonly renewHops?: true
}

export function initCommand(): Command {
  return new Command('init')
    .description('make a deployment: ptt.toml, keys, certificates, the repository of users')
    .option('-d, --dir <dir>', 'the folder it is made in', '.')
    .option('--domain <domain>', 'the domain you send mail for')
    .option('--user <name>', 'the first user, with a password that is asked for or read from standard input')
    .option('--generate-password', 'make the password of the first user and print it, once')
    .option('--renew-hops', 'instead: new certificates for the services, from the CA of the folder')
    .addHelpText(
      'after',
      `
It overwrites nothing, and prints what is left to do at its end. The certificates of the services are good for two
years; \`ptt config check\` tells when they end.

Examples:
  ptt init --domain example.com --user alice
  ptt init --dir /etc/ptt --domain example.com --user alice --generate-password
  ptt init --dir /etc/ptt --domain example.com --user alice < password
  ptt init --dir /etc/ptt --renew-hops`,
    )
    .action(async (options: InitOptions) => {
      if (options.renewHops) await renew(options)
      else await init(options)
    })
}

async function init({ dir, domain: given, user: name, generatePassword }: InitOptions): Promise<void> {
  refuseToOverwrite([join(dir, 'ptt.toml')])
  if (generatePassword && name === undefined) throw new Error('a password for whom? Say --user too')
  const domain = given ?? (await askDomain())
  const generated = generatePassword && randomBytes(15).toString('base64url')
  const password = name === undefined ? undefined : (generated ?? (await readNewPassword(name)))
  const deployment = await initialize({
    dir,
    domain,
    // The relay's: what it sees, those who verify will see.
    settings: { signer: { resolver: ['127.0.0.1:53'] } },
    ...(name === undefined || password === undefined ? {} : { user: { name, password } }),
  })
  console.log(`The deployment of ${deployment.config.domain} is in ${dirname(deployment.file)}.`)
  if (generated) console.log(`The password of ${deployment.user}, shown this once: ${generated}`)
  console.log(nextSteps(deployment))
}

async function askDomain(): Promise<string> {
  if (!process.stdin.isTTY) throw new Error('for which domain? Say --domain example.com')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question('The domain you send mail for: ')).trim()
  } finally {
    terminal.close()
  }
}

async function renew({ dir, domain, user }: InitOptions): Promise<void> {
  if (domain !== undefined || user !== undefined) {
    throw new Error('--renew-hops changes certificates only: leave --domain and --user out')
  }
  const written = await renewHops(loadConfig(join(dir, 'ptt.toml')), Date.now())
  for (const path of written) console.log(nearPath(path))
  console.log('Restart the services to use them.')
}
