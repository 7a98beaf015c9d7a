/** [hooks]: where a Git host tells of a push. */

import * as z from 'zod'
import { type Base, pathFrom, text } from '../field.ts'
import * as kind from '../value.ts'

export function hooksTable({ folder }: Base) {
  return z.object({
    secret: pathFrom(folder)
      .prefault('hooks.secret')
      .describe('The file with the secret that the Git host knows too: openssl rand -hex 32.'),
    submission: hook('submission', 8418),
    signer: hook('the signer', 8419),
    relay: hook('the relay', 8420),
  })
}

function hook(service: string, port: number) {
  return text(kind.endpoint(port, 0))
    .exactOptional()
    .meta({
      description: `Where ${service} hears of a push. Not set: nowhere.`,
      examples: [`127.0.0.1:${port}`],
    })
}
