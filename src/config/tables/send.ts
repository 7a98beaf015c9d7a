/** [send]: how `ptt send` reaches submission. */

import * as z from 'zod'
import { type Base, pathFrom, text } from '../field.ts'
import * as kind from '../value.ts'

export function sendTable({ folder }: Base) {
  return z.object({
    server: text(kind.endpoint(465, 1)).prefault('127.0.0.1:465').describe('The submission server.'),
    username: text(kind.word).meta({
      description: 'The user, as in the repository.',
      examples: ['alice@example.com'],
    }),
    passwordFile: pathFrom(folder).meta({
      description: 'The file with his password.',
      examples: ['send.password'],
    }),
    ca: pathFrom(folder)
      .exactOptional()
      .meta({
        description: "The CA of the server's certificate, where it is not one everybody knows.",
        examples: ['hop/ca.pem'],
      }),
  })
}
