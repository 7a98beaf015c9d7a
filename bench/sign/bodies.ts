/** Canonicalization and hashing: what a core makes of bodies as people send them, beside the hash alone. */

import { createHash } from 'node:crypto'
import { BodyHash } from '../../src/dkim/body-hash.ts'
import type { Canonicalization } from '../../src/dkim/canonicalization.ts'
import type { Figure } from '../smtp/report.ts'

const MB = 1e6
const BODY_OCTETS = 4 * 1024 * 1024
/** What comes from a socket at once. */
const CHUNK_OCTETS = 16 * 1024

const TEXTS: Readonly<Record<string, string>> = {
  text: 'The telegraph office opens at eight. Whoever comes earlier may read the\r\nnotices at the door, which are changed on Mondays, and wait.\r\n\r\n',
  // After sentences, and some at the ends of lines.
  'two spaces':
    'It opens at eight.  Whoever comes earlier may read the notices  \r\nat the door.  They are changed on Mondays. \r\n',
  HTML: '<table class="rates">\r\n    <tr>\r\n\t<td width="10" align="left">Words</td>\r\n        <td>Rate to the colonies</td>\r\n    </tr>\r\n',
  'quoted-printable':
    'K=C3=B6ln h=C3=A4lt an; the rates for letters=20=\r\n and for parcels are those of last year=\r\n',
  base64: 'JVBERi0xLjQKJcfsj6IKNSAwIG9iago8PC9MZW5ndGggNiAwIFIvRmlsdGVyIC9GbGF0ZURlY29k\r\n',
}

export function bodies(quick: boolean): Figure[] {
  const rounds = quick ? 2 : 6
  const figures: Figure[] = []
  for (const [name, text] of Object.entries(TEXTS)) {
    const body = Buffer.alloc(BODY_OCTETS, text, 'latin1')
    const hash = fastest(rounds, body, () => createHash('sha256'))
    for (const canonicalization of ['relaxed', 'simple'] as const) {
      const value = fastest(rounds, body, () => new BodyHash(canonicalization as Canonicalization))
      figures.push({
        name: `canonicalized and hashed, ${canonicalization}: ${name}`,
        value,
        unit: 'MB/s',
        aim: { least: 500 },
        note: `SHA-256 alone ${Math.round(hash)}`,
      })
    }
  }
  return figures
}

/** CPU time is counted in ticks of some milliseconds: so much of it, or more, is measured at once. */
const ROUND_MICROSECONDS = 200_000

/** MB for each second of CPU time of this thread: others on the machine take clock time away, not this. */
function fastest(rounds: number, body: Buffer, make: () => { update(chunk: Buffer): unknown }): number {
  let best = 0
  for (let round = 0; round < rounds; round++) {
    const before = process.threadCpuUsage()
    for (let times = 1; ; times++) {
      const hash = make()
      for (let at = 0; at < body.length; at += CHUNK_OCTETS) hash.update(body.subarray(at, at + CHUNK_OCTETS))
      const { user, system } = process.threadCpuUsage(before)
      if (user + system < ROUND_MICROSECONDS) continue
      best = Math.max(best, (times * body.length) / MB / ((user + system) / 1e6))
      break
    }
  }
  return best
}
