/**
 * What may stand in a file of the repository, and what is said about the rest: file, line and rule.
 *
 * No rule repeats a value of `password`, nor a line of the file around an error of syntax: it ends in logs.
 */

import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import type { Mailbox } from '../smtp/path.ts'
import { mailboxOf } from './layout.ts'
import { foldMailbox } from './may-send.ts'
import {
  parseSha1Verifier,
  parseVerifier,
  type ScramSha1Verifier,
  type Verifier,
  VerifierError,
} from './password.ts'

export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** What is wrong and what to write instead. */
  readonly rule: string
}

/** A commit, or a change to be made one, that cannot be in force. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ file, line, rule }) => `${file}:${line}: ${rule}`).join('\n'))
    this.problems = problems
  }
}

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value; readonly lines: ReadonlyMap<string, number> }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** One verifier as a string; or a list with one for SCRAM-SHA-1 behind it, so that a new password replaces both. */
export interface Password {
  readonly verifier: Verifier
  readonly sha1Verifier?: ScramSha1Verifier | undefined
}

export interface UserFile {
  readonly password: Password
  readonly senders: readonly string[]
  readonly targets: readonly Mailbox[]
}

/** One domain's schemas: what senders and bare local-parts mean depends on it. */
export class Schema {
  readonly #user: z.ZodType<UserFile>
  readonly #original: z.ZodType<UserFile>
  readonly #aliases: z.ZodType<Record<string, Mailbox[]>>

  constructor(domain: string) {
    const targets = z.array(z.string().transform((text, context) => mailbox(text, domain, context)))
    const senders = z.array(z.string().transform((text, context) => sender(text, domain, context)))
    this.#user = z.strictObject({
      password: z.unknown().transform(passwords),
      senders: senders.default([]),
      targets: targets.default([]),
    })
    this.#original = z
      .strictObject({
        password: z.string().transform((text, context) => verifier(text, 'BLAKE2B-512', context)),
        targets,
        insecure: z
          .literal(false, 'submission without TLS is never allowed: write false, or leave it out')
          .default(false),
      })
      .transform(({ password, targets }) => ({ password: { verifier: password }, targets, senders: [] }))
    this.#aliases = z.record(z.string(), targets)
  }

  user(file: string, text: string): Parsed<UserFile> {
    return readToml(file, text, this.#user)
  }

  /** The original layout, JSON. */
  original(file: string, text: string): Parsed<UserFile> {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      const line = Number(
        /line (\d+)/.exec((error as Error).message)?.[1] ?? text.trimEnd().split('\n').length,
      )
      const rule =
        'not JSON: a file at the root is a user in the original layout, {"targets": […], "password": "…"}'
      return { ok: false, problems: [{ file, line, rule }] }
    }
    return check(file, text, value, this.#original)
  }

  aliases(file: string, text: string): Parsed<Record<string, Mailbox[]>> {
    return readToml(file, text, this.#aliases)
  }

  /** It says that the domain is one of ours, also when it has no user; this version knows no key of it. */
  domain(file: string, text: string): Parsed<unknown> {
    return readToml(file, text, NOTHING)
  }
}

const NOTHING = z.strictObject({})

function passwords(written: unknown, context: z.RefinementCtx): Password {
  if (written === undefined) return issue(context, 'it is missing')
  const [first, second, ...more] = Array.isArray(written) ? written : [written]
  if (typeof first !== 'string' || more.length > 0) return issue(context, 'write a string')
  const password = verifier(first, 'SCRAM-SHA-256', context)
  if (second === undefined) return { verifier: password }
  return { verifier: password, sha1Verifier: told(context, () => parseSha1Verifier(String(second))) }
}

function verifier(text: string, scheme: Verifier['scheme'], context: z.RefinementCtx): Verifier {
  const read = told(context, () => parseVerifier(text))
  if (read === z.NEVER || read.scheme === scheme || scheme === 'BLAKE2B-512') return read
  return issue(
    context,
    'weak hash: BLAKE2B-512 without salt is read in the original layout only; ptt user passwd writes another',
  )
}

function told<Value>(context: z.RefinementCtx, parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    if (error instanceof VerifierError) return issue(context, error.message)
    throw error
  }
}

function mailbox(text: string, domain: string, context: z.RefinementCtx): Mailbox {
  return (
    mailboxOf(text, domain) ??
    issue(context, `${JSON.stringify(text)} is not a mailbox: write it like alice@example.com`)
  )
}

// `alice`, `alice@example.com`, `*@news.example.com`: the star stands for a whole local-part.
function sender(text: string, domain: string, context: z.RefinementCtx): string {
  const any = text.startsWith('*@')
  const read = mailboxOf(any ? `any${text.slice(1)}` : text, domain)
  if (!read || (!any && read.localPart.includes('*')))
    return issue(
      context,
      `${JSON.stringify(text)} is not a sender: write alice, alice@${domain} or *@${domain}`,
    )
  const folded = foldMailbox(read)
  if (folded.domain !== domain && !folded.domain.endsWith(`.${domain}`))
    return issue(
      context,
      `${JSON.stringify(text)} is outside ${domain}: a sender is in the folder's domain or beneath it`,
    )
  return `${any ? '*' : folded.localPart}@${folded.domain}`
}

function issue(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

function readToml<Value>(file: string, text: string, schema: z.ZodType<Value>): Parsed<Value> {
  let value: unknown
  try {
    value = parse(text, { unsafeKeyBehaviour: 'throw' })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The first line of the message; those after it show the file.
    const [first = ''] = error.message.split('\n')
    const rule = `not TOML: ${first.replace(/^Invalid TOML document: /, '')} (column ${error.column})`
    return { ok: false, problems: [{ file, line: error.line, rule }] }
  }
  return check(file, text, value, schema)
}

function check<Value>(file: string, text: string, value: unknown, schema: z.ZodType<Value>): Parsed<Value> {
  const lines = linesOfKeys(text)
  const { success, data, error } = schema.safeParse(value)
  if (success) return { ok: true, value: data, lines }
  const problems = error.issues.flatMap(found => {
    const keys = found.code === 'unrecognized_keys' ? found.keys : [String(found.path[0] ?? '')]
    return keys.map(key => ({ file, line: lineOf(text, lines, key, found), rule: ruleOf(key, found, value) }))
  })
  return { ok: false, problems }
}

/** Keys of the format to come: saying nothing would let people believe that they are honoured. */
const LATER: Readonly<Record<string, string>> = {
  limits: 'limits',
  default_limits: 'limits',
  selector: 'selectors of a domain',
  signing_budget: 'signing budgets',
}

function ruleOf(key: string, found: z.core.$ZodIssue, value: unknown): string {
  if (found.code === 'unrecognized_keys')
    return LATER[key]
      ? `${key}: ${LATER[key]} are not supported by this version`
      : `there is no key ${JSON.stringify(key)} here`
  if (found.code !== 'invalid_type') return `${key}: ${found.message}`
  if (key === '') return `this is not a table of keys and values`
  const written = (value as Record<string, unknown>)[key]
  if (written === undefined) return `${key}: it is missing`
  if (found.path.length > 1) return `${key}: write each in quotes`
  if (found.expected !== 'array') return `${key}: write a ${found.expected}`
  if (typeof written !== 'object') return `${key}: write a list, ["…", "…"]`
  return `${key}: write a list, ["…", "…"]; a name with a dot is written in quotes, "first.last" = […]`
}

/** Line of each key at the top of the file: TOML and JSON both, one pass. */
function linesOfKeys(text: string): Map<string, number> {
  const lines = new Map<string, number>()
  for (const [index, line] of text.split('\n').entries()) {
    const toml = /^\s*\[?\s*(?:([\w-]+)|"([^"]*)"|'([^']*)')\s*[.\]=]/.exec(line)
    const keys = toml
      ? [toml[1] ?? toml[2] ?? toml[3] ?? '']
      : [...line.matchAll(/"(\w+)"\s*:/g)].map(json => json[1] ?? '')
    for (const key of keys) if (!lines.has(key)) lines.set(key, index + 1)
  }
  return lines
}

// An element of a list stands in the key's line or below it.
function lineOf(
  text: string,
  lines: ReadonlyMap<string, number>,
  key: string,
  found: z.core.$ZodIssue,
): number {
  const line = lines.get(key) ?? 1
  const index = found.path[1]
  if (typeof index !== 'number') return line
  const below = text.split('\n').slice(line - 1)
  let strings = -1
  for (const [offset, each] of below.entries()) {
    const bare = offset === 0 ? each.slice(each.search(/[=:]/) + 1) : each
    const found = bare.matchAll(/"(?:[^"\\]|\\.)*"|'[^']*'|#.*|[\w.+-]+/g)
    // Comments hold no elements.
    strings += [...found].filter(([text]) => !text.startsWith('#')).length
    if (strings >= index) return line + offset
  }
  return line
}
