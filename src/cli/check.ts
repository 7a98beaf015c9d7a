/**
 * `ptt config check`: the files ptt.toml names, looked at before a service needs them, and its addresses
 * (check-addresses.ts). Whatever is wrong is told at once, for the key it stands in.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { FileError, readPem, readSecret } from '../config/file.ts'
import { ConfigError, type Problem } from '../config/load.ts'
import { locate } from '../config/locate.ts'
import { readReplies } from '../config/replies.ts'
import { readRoutes } from '../config/routes.ts'
import { type Config, tomlKey } from '../config/schema.ts'
import { readShaping } from '../config/shaping.ts'
import { readSources } from '../config/sources.ts'
import { readTlsLevels } from '../config/tls-levels.ts'
import { isRemote } from '../config/value.ts'
import { GitError, git } from '../directory/git.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { readHookSecret } from '../hooks/hooks.ts'
import { roleName } from '../net/tls.ts'
import { signatureOptions } from '../signer/keep-keys.ts'
import { KeyFolder } from '../signer/key-folder.ts'
import { earlierRecords, keysFromPem, keysFromSeed } from '../signer/key-store.ts'
import { isLive } from '../signer/life-cycle.ts'
import { keysOf } from '../submission/sign-in.ts'
import { checkAddresses } from './check-addresses.ts'
import { SERVICES, type ServiceName } from './service.ts'

export interface Findings {
  /** A service would not start, or could not do its work. */
  readonly errors: readonly Problem[]
  /** It will be one, as a certificate that ends soon, or may be meant so. */
  readonly warnings: readonly Problem[]
}

export interface CheckOptions {
  /** The text of ptt.toml, for the lines of its keys. */
  readonly toml: string
  /** The services of this machine; not given: all three, and [send]. */
  readonly services?: readonly ServiceName[]
  readonly nowMs: number
}

const DAY_MS = 86_400_000
const SOON_DAYS = 30
const RENEW = 'run `ptt init --renew-hops`'
const REPLACE = 'put a new one there'

export async function checkFiles(config: Config, options: CheckOptions): Promise<Findings> {
  const check = new Check(config.file, options)
  const services = options.services ?? SERVICES
  const ca = check.certificates(['hop', 'ca'], config.hop.ca, RENEW)?.[0]
  if (ca && !ca.ca) check.error(['hop', 'ca'], `${config.hop.ca}: is no CA: ${RENEW}`)
  for (const name of services) check.hop(name, config[name], ca)
  if (services.includes('submission')) {
    check.tls(config)
    const { clientCa, oauth } = config.submission
    if (clientCa !== undefined) check.certificates(['submission', 'client_ca'], clientCa, REPLACE)
    if (oauth !== undefined) check.run(['submission', 'oauth', 'jwks'], () => keysOf(oauth.jwks))
  }
  if (services.includes('signer')) {
    const { tsigKey } = config.signer
    check.keys(config)
    check.tsig(['signer', 'tsig_key'], tsigKey)
  }
  const { certificate } = config
  if (certificate !== undefined && options.services === undefined) {
    const { tsigKey, ca: trusted, eabKey, termsAgreed } = certificate
    if (tsigKey !== undefined) check.tsig(['certificate', 'tsig_key'], tsigKey)
    if (eabKey !== undefined) check.run(['certificate', 'eab_key'], () => readSecret(eabKey))
    if (trusted !== undefined) check.certificates(['certificate', 'ca'], trusted, REPLACE)
    if (!termsAgreed) {
      const todo = 'most CAs issue nothing without: read their terms of service, and write true'
      check.warning(['certificate', 'terms_agreed'], `is not set: ${todo}`)
    }
  }
  const { hooks } = config
  if (hooks !== undefined && services.some(name => hooks[name] !== undefined))
    check.run(['hooks', 'secret'], () => readHookSecret(hooks.secret))
  await check.addresses(config, services)
  if (services.includes('relay')) {
    check.spool(config.relay.spool)
    check.rules(config)
  }
  if (config.send && options.services === undefined) {
    const { passwordFile, ca: trusted } = config.send
    check.run(['send', 'password_file'], () => readSecret(passwordFile))
    if (trusted !== undefined) check.certificates(['send', 'ca'], trusted, REPLACE)
  }
  await check.repository(config.directory)
  return check
}

const RULE_FILES: readonly (readonly [key: string, read: (relay: Config['relay']) => unknown])[] = [
  ['shaping', relay => readShaping(relay.shaping)],
  ['replies', relay => readReplies(relay.replies)],
  ['sources', relay => readSources(relay.sources)],
  ['routes', relay => readRoutes(relay.routes)],
  ['tls', relay => readTlsLevels(relay.tls)],
]

class Check implements Findings {
  readonly errors: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #file: string
  readonly #options: CheckOptions

  constructor(file: string, options: CheckOptions) {
    this.#file = file
    this.#options = options
  }

  error(keys: readonly string[], message: string): void {
    this.errors.push(this.#problem(keys, message))
  }

  warning(keys: readonly string[], message: string): void {
    this.warnings.push(this.#problem(keys, message))
  }

  #problem(keys: readonly string[], message: string): Problem {
    return { file: this.#file, line: locate(this.#options.toml, keys), key: keys.join('.'), message }
  }

  /** The files of rules have lines of their own. */
  rules({ relay }: Config): void {
    for (const [key, read] of RULE_FILES) {
      try {
        read(relay)
      } catch (error) {
        if (error instanceof ConfigError) this.errors.push(...error.problems)
        else if (error instanceof FileError) this.error(['relay', key], error.message)
        else throw error
      }
    }
  }

  /** Where services listen, and look for each other. */
  async addresses(config: Config, services: readonly ServiceName[]): Promise<void> {
    for (const { keys, message, warning } of await checkAddresses(config, services)) {
      const problem = this.#problem(keys, message)
      if (warning) this.warnings.push(problem)
      else this.errors.push(problem)
    }
  }

  /** The DKIM keys that ptt.toml names, and those the signer has made. What only the process of the signer has is left to it. */
  keys(config: Config): void {
    const { key, seed, state } = config.signer
    const here = key.filter(source => source.kind === 'file')
    this.run(['signer', 'key'], () => keysFromPem({ ...config, signer: { ...config.signer, key: here } }))
    if (seed?.kind === 'file') this.run(['signer', 'seed'], () => keysFromSeed(config))
    this.run(['signer', 'earlier_keys'], () => earlierRecords(config))
    this.run(['signer', 'expiration'], () => signatureOptions(config, {}))
    this.run(['signer', 'state'], () => {
      const folder = new KeyFolder(state, config.domain)
      const made = folder.load().filter(one => one.origin === 'generated' && isLive(one))
      for (const one of made) folder.readPrivate(one)
    })
  }

  /** The spool is a folder, or will be one. */
  spool(path: string): void {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found !== undefined && !found.isDirectory()) {
      this.error(
        ['relay', 'spool'],
        `${path}: is a file, and should be a folder: move it away, or write another path`,
      )
    }
  }

  /** What `look` returns, or `undefined` once what it throws about a file has been noted. */
  run<T>(keys: readonly string[], look: () => T): T | undefined {
    try {
      return look()
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      this.error(keys, error.message)
      return undefined
    }
  }

  tsig(keys: readonly string[], path: string): void {
    this.run(keys, () => {
      const secret = readSecret(path)
      try {
        parseTsigKey(secret.trim())
      } catch (error) {
        throw new FileError(`${path}: ${(error as Error).message}`)
      }
    })
  }

  /** A service's hop certificate: of the deployment's authority, for its role, with its key. */
  hop(
    name: ServiceName,
    table: { hopCertificate: string; hopKey: string },
    ca: X509Certificate | undefined,
  ): void {
    const keys = [name, tomlKey('hopCertificate')]
    const [certificate] = this.certificates(keys, table.hopCertificate, RENEW) ?? []
    this.#pair(certificate, [name, tomlKey('hopKey')], table.hopKey, RENEW)
    if (certificate === undefined) return
    if (ca && !(certificate.checkIssued(ca) && certificate.verify(ca.publicKey))) {
      this.error(keys, `${table.hopCertificate}: is not signed by the CA of hop.ca: ${RENEW}`)
    }
    if (certificate.checkHost(roleName(name)) === undefined) {
      const names = certificate.subjectAltName ?? 'nobody'
      this.error(keys, `${table.hopCertificate}: is for ${names}, not DNS:${roleName(name)}: ${RENEW}`)
    }
  }

  /** What mail programs see. Where it comes from a CA, the first may be still to come. */
  tls({ submission: { hostname, certificate: path, key }, certificate: issued }: Config): void {
    if (issued !== undefined && !existsSync(path) && !existsSync(key)) return
    const remedy = issued === undefined ? REPLACE : 'see `ptt certificate status`'
    const keys = ['submission', 'certificate']
    const [certificate] = this.certificates(keys, path, remedy) ?? []
    this.#pair(certificate, ['submission', 'key'], key, remedy)
    if (certificate && certificate.checkHost(hostname) === undefined) {
      const names = certificate.subjectAltName ?? 'nobody'
      this.error(keys, `${path}: is for ${names}, not for submission.hostname ${hostname}: ${remedy}`)
    }
  }

  /** The certificates of a PEM file, the first one first; each must be valid now. */
  certificates(keys: readonly string[], path: string, remedy: string): X509Certificate[] | undefined {
    const chain = this.run(keys, () => parseCertificates(path))
    const { nowMs } = this.#options
    for (const certificate of chain ?? []) {
      const { validFromDate, validToDate } = certificate
      const until = validToDate.toISOString().slice(0, 10)
      const days = Math.floor((validToDate.getTime() - nowMs) / DAY_MS)
      if (validToDate.getTime() <= nowMs) {
        this.error(keys, `${path}: expired on ${until}: ${remedy}`)
      } else if (validFromDate.getTime() > nowMs) {
        const from = validFromDate.toISOString().slice(0, 10)
        this.error(keys, `${path}: is valid from ${from} only: ${remedy}, or set the clock of this machine`)
      } else if (days < SOON_DAYS) {
        this.warning(keys, `${path}: expires on ${until}, in ${days} days: ${remedy}`)
      }
    }
    return chain
  }

  #pair(
    certificate: X509Certificate | undefined,
    keys: readonly string[],
    path: string,
    remedy: string,
  ): void {
    this.run(keys, () => {
      const secret = readSecret(path)
      let key: ReturnType<typeof createPrivateKey>
      try {
        key = createPrivateKey(secret)
      } catch {
        // The cause is left out: what OpenSSL says is about the octets of the key.
        throw new FileError(`${path}: is not a private key in PEM without a passphrase: ${remedy}`)
      }
      if (certificate && !certificate.checkPrivateKey(key)) {
        throw new FileError(`${path}: is not the key of the certificate: ${remedy}`)
      }
    })
  }

  /** A repository on this machine; one elsewhere is looked at by the services only. */
  async repository({ repository, branch }: Config['directory']): Promise<void> {
    if (isRemote(repository)) return
    try {
      await git(['rev-parse', '--git-dir'], { folder: repository, timeoutMs: 10_000 })
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      const message =
        error.code === 'MISSING' ? error.message : 'is no bare Git repository: make one with `ptt init`'
      return this.error(['directory', 'repository'], `${repository}: ${message}`)
    }
    try {
      await git(['rev-parse', '--verify', '--quiet', `refs/heads/${branch}^{commit}`], {
        folder: repository,
        timeoutMs: 10_000,
      })
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      this.error(['directory', 'branch'], `${repository} has no branch "${branch}", or nothing in it`)
    }
  }
}

function parseCertificates(path: string): X509Certificate[] {
  const blocks = readPem(path).match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
  if (blocks.length === 0) throw new FileError(`${path}: has no certificate in it`)
  return blocks.map(block => {
    try {
      return new X509Certificate(block)
    } catch (error) {
      throw new FileError(`${path}: holds a damaged certificate`, { cause: error })
    }
  })
}
