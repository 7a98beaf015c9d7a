/** routes.toml: smart hosts, through which some mail goes instead of to the MX hosts of its recipients. */

import { dirname } from 'node:path'
import * as z from 'zod'
import { fileFrom, integer, list, oneOf, text } from './field.ts'
import { readPem, readSecret } from './file.ts'
import { type Rule, readRules } from './rules.ts'
import * as kind from './value.ts'

const patterns = list(text(kind.domainPattern), 'a list of domains', kind.domainPattern.write).exactOptional()

export const RULE = z
  .object({
    name: text(kind.word),
    /** Domains of recipients; of senders (the reverse-path). Neither: all. */
    recipients: patterns,
    senders: patterns,
    /** Only after so many attempts at the MX hosts. */
    afterAttempts: integer(1, 1000).exactOptional(),
    host: text(kind.endpoint(465, 1)),
    tls: oneOf(['implicit', 'starttls']).prefault('implicit'),
    username: text(kind.word).exactOptional(),
    passwordFile: text(kind.path).exactOptional(),
    /** Instead of the CAs everybody knows. */
    ca: text(kind.path).exactOptional(),
  })
  .strict()
  .refine(rule => (rule.username === undefined) === (rule.passwordFile === undefined), {
    path: ['passwordFile'],
    error: 'username and password_file belong together',
  })

export interface RouteRule extends Omit<Rule<typeof RULE>, 'username' | 'passwordFile' | 'ca'> {
  readonly account?: { readonly username: string; readonly password: string }
  readonly ca?: string
}

/** Passwords and CAs are read too. @throws ConfigError, FileError */
export function readRoutes(path: string | undefined): RouteRule[] {
  if (path === undefined) return []
  const at = (file: string) => fileFrom(dirname(path), file)
  return readRules(path, 'route', RULE).map(({ username, passwordFile, ca, ...rule }) => ({
    ...rule,
    ...(username === undefined || passwordFile === undefined
      ? {}
      : { account: { username, password: readSecret(at(passwordFile)).replace(/\r?\n$/, '') } }),
    ...(ca === undefined ? {} : { ca: readPem(at(ca)) }),
  }))
}
