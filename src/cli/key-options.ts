/**
 * The options of the original ptt's signer, on `ptt signer`: they stand above [signer] of ptt.toml. A seed or a key on the
 * command line itself, as the original has them, is taken, and complained of: every user of the machine can see it there.
 */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { FileError } from '../config/file.ts'
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { KeySource } from '../config/tables/signer.ts'
import type { SignerOverrides } from '../signer/keep-keys.ts'
import { keysFromPem } from '../signer/key-store.ts'

export interface KeyOptions {
  readonly seed?: string
  /** -p */
  readonly p?: string
  readonly bits?: string
  readonly algorithm?: 'rsa' | 'ed25519'
  readonly selector?: string
  readonly fields?: readonly string[]
  readonly timestamp?: number
  readonly expiration?: number
}

export function addKeyOptions(command: Command): Command {
  return command
    .option('--seed <seed>', 'derive the keys from this seed: a file with it, or its base64')
    .option('-p <key>', 'sign with this private key: a file of PEM, or the base64 of its PKCS #8 (RFC 5958)')
    .addOption(
      new Option('-b, --bits <bits>', 'the length of RSA keys that are made or derived').choices([
        '2048',
        '3072',
        '4096',
      ]),
    )
    .addOption(
      new Option('-a, --algorithm <algorithm>', 'sign with this one only').choices(['rsa', 'ed25519']),
    )
    .option('--selector <selector>', 'the selector of the key')
    .option('--fields <names>', 'the header fields that are signed, with commas between them', names)
    .option('--timestamp <epoch>', 't= of every signature, instead of the time it is made', epoch)
    .option('--expiration <epoch>', 'x= of every signature', epoch)
}

/** What the signer is to run with. */
export interface Adjusted {
  readonly config: Config
  readonly overrides: SignerOverrides
  /** What somebody should change. */
  readonly complaints: readonly string[]
}

/** @throws Error for options that go with no other; ConfigError for a value that ptt.toml would refuse too */
export function adjust(config: Config, options: KeyOptions): Adjusted {
  const { seed, p, bits, algorithm, selector, fields, timestamp, expiration } = options
  if (seed !== undefined && p !== undefined)
    throw new Error('--seed and -p: say one of them, a key comes from one place')
  if (timestamp !== undefined && expiration !== undefined && expiration <= timestamp)
    throw new Error('--expiration is not later than --timestamp (RFC 6376 §3.5)')
  // Checked as they would be in ptt.toml, by what checks that.
  const written = {
    ...(bits === undefined ? {} : { bits: Number(bits) }),
    ...(algorithm === undefined ? {} : { algorithms: [algorithm] }),
    ...(selector === undefined ? {} : { selector }),
    ...(fields === undefined ? {} : { fields }),
  }
  const { signer } = config
  const checked = checkedKeys(config, written)
  const given: KeySource[] = []
  const from = (option: string, text: string, wrap: (base64: string) => string): KeySource => {
    const source = sourceOf(option, text, wrap)
    if (source.kind === 'given') given.push(source)
    return source
  }
  const keys =
    p !== undefined
      ? { key: [from('-p', p, pkcs8)], seed: undefined }
      : seed !== undefined
        ? { key: [], seed: from('--seed', seed, text => text) }
        : {}
  const { seed: wanted = 'seed' in keys ? undefined : signer.seed, ...rest } = {
    ...signer,
    ...checked,
    ...keys,
  }
  const adjusted: Config = {
    ...config,
    signer: { ...rest, ...(wanted === undefined ? {} : { seed: wanted }) },
  }
  if (p !== undefined && algorithm !== undefined) checkAlgorithm(adjusted, algorithm)
  return {
    config: adjusted,
    overrides: {
      ...(timestamp === undefined ? {} : { timestampSeconds: timestamp }),
      ...(expiration === undefined ? {} : { expirationSeconds: expiration }),
    },
    complaints: given.map(
      source =>
        `${source.kind === 'given' ? source.option : ''}: a secret on the command line is seen by every user of this machine: put it in a file of mode 600, and name that`,
    ),
  }
}

function checkedKeys(config: Config, written: Record<string, unknown>): Partial<Config['signer']> {
  const lines = Object.entries(written).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
  const toml = `domain = ${JSON.stringify(config.domain)}\n[signer]\n${lines.join('')}`
  const { signer } = parseConfig(toml, config.file)
  return Object.fromEntries(Object.entries(signer).filter(([key]) => key in written))
}

/** What is a file is a file; the base64 of a seed or a key is none, unless somebody has called one so. */
function sourceOf(option: string, text: string, wrap: (base64: string) => string): KeySource {
  const [, descriptor] = /^fd:(\d{1,5})$/.exec(text) ?? []
  if (descriptor !== undefined) return { kind: 'descriptor', descriptor: Number(descriptor) }
  const [, credential] = /^credential:([^/\0]+)$/.exec(text) ?? []
  if (credential !== undefined) return { kind: 'credential', credential }
  const isBase64 = /^[A-Za-z0-9+/]{40,}={0,2}$/.test(text)
  if (existsSync(text) || !isBase64) return { kind: 'file', path: resolve(text) }
  return { kind: 'given', option, text: wrap(text) }
}

function pkcs8(base64: string): string {
  return `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`
}

function checkAlgorithm(config: Config, algorithm: string): void {
  // What can be read but once is left to the signer, which tells what it is.
  if (config.signer.key.some(({ kind }) => kind === 'descriptor' || kind === 'credential')) return
  for (const { key } of keysFromPem(config))
    if (key.algorithm !== `${algorithm}-sha256`)
      throw new FileError(
        `-p is a key for ${key.algorithm.replace(/-sha256$/, '')}, and --algorithm says ${algorithm}`,
      )
}

function names(text: string): string[] {
  return text.split(',').map(name => name.trim())
}

function epoch(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('Write seconds since 1970.')
  return Number(text)
}
