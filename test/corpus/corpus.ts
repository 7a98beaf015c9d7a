/** Messages as they come out of real programs, octet for octet as DATA carries them (before dot-stuffing). */

import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface Sample {
  readonly name: string
  readonly octets: Buffer
}

export const corpus: readonly Sample[] = globSync('*.eml', { cwd: import.meta.dirname })
  .sort()
  .map(path => ({ name: basename(path, '.eml'), octets: readFileSync(join(import.meta.dirname, path)) }))

/** A message with an attachment in base64, some more than `octets` long; the same each time. */
export function withAttachment(octets: number): Sample {
  const header = [
    'From: Joe <joe@example.com>',
    'To: Suzie <suzie@example.net>',
    'Subject: The pictures',
    'Date: Fri, 05 Sep 2025 03:04:05 +0000',
    'Message-ID: <pictures@example.com>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="=_pictures"',
    '',
    '--=_pictures',
    'Content-Type: text/plain',
    '',
    'Here they are.  ',
    '',
    '--=_pictures',
    'Content-Type: image/png',
    'Content-Transfer-Encoding: base64',
    '',
    '',
  ].join('\r\n')
  // 57 octets are a line of 76 characters. Octets of a linear congruential generator: never the same line twice.
  const lines: string[] = []
  let state = 1
  const line = Buffer.alloc(57)
  for (let length = header.length; length < octets; length += 78) {
    for (let i = 0; i < line.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      line[i] = state >>> 24
    }
    lines.push(line.toString('base64'))
  }
  const text = `${header}${lines.join('\r\n')}\r\n\r\n--=_pictures--\r\n`
  return { name: `attachment of ${octets} octets`, octets: Buffer.from(text) }
}
