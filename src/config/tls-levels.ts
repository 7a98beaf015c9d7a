/** tls.toml: how mail to some domains must be protected, whatever they announce themselves. */

import * as z from 'zod'
import { list, oneOf, text } from './field.ts'
import { type Rule, readRules } from './rules.ts'
import * as kind from './value.ts'

const fingerprint: kind.Kind<Buffer> = {
  noun: 'a fingerprint',
  write:
    'write the SHA-256 of the certificate or of its public key, as 64 hexadecimal digits, with colons or without',
  parse(written) {
    const digits = written.replaceAll(':', '')
    return /^[0-9a-f]{64}$/i.test(digits) ? Buffer.from(digits, 'hex') : undefined
  },
}

export const RULE = z
  .object({
    name: z.string({ error: 'is missing: write for whom the rule is' }),
    /** Of recipients. */
    domains: list(text(kind.domainPattern), 'a list of domains', kind.domainPattern.write),
    level: oneOf(['opportunistic', 'require', 'dane', 'verify', 'fingerprint']),
    fingerprints: list(text(fingerprint), 'a list of fingerprints', fingerprint.write).exactOptional(),
  })
  .strict()
  .refine(rule => (rule.level === 'fingerprint') === (rule.fingerprints !== undefined), {
    path: ['fingerprints'],
    error: 'level = "fingerprint" and fingerprints belong together',
  })

export type TlsRule = Rule<typeof RULE>

/** The first rule that fits counts. @throws ConfigError */
export function readTlsLevels(path: string | undefined): TlsRule[] {
  return path === undefined ? [] : readRules(path, 'tls', RULE)
}
