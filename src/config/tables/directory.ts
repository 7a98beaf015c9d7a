/** [directory]: the repository of users. */

import { resolve } from 'node:path'
import * as z from 'zod'
import { type Base, oneOf, pathFrom, text } from '../field.ts'
import * as kind from '../value.ts'

export function directoryTable({ folder }: Base) {
  return z
    .object({
      repository: repositoryFrom(folder)
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
      allowedSigners: pathFrom(folder)
        .exactOptional()
        .meta({
          description: 'Whose ssh signatures count: a file as in ssh-keygen(1), ALLOWED SIGNERS.',
          examples: ['allowed_signers'],
        }),
      keyring: pathFrom(folder)
        .exactOptional()
        .meta({
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
}

function repositoryFrom(folder: string) {
  return text({
    ...kind.path,
    noun: 'a repository',
    write: 'write a path, or a URL such as "https://git.example.com/users.git"',
    parse: written =>
      kind.isRemote(written)
        ? written
        : kind.path.parse(written) && resolve(folder, written.replace(/^file:(?!\/\/)/, '')),
  })
}
