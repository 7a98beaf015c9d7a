/** [submission.oauth]: whose tokens are taken. */

import { resolve } from 'node:path'
import * as z from 'zod'
import { type Base, text } from '../field.ts'
import * as kind from '../value.ts'

export function oauthTable({ folder }: Base) {
  return z.object({
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
}
