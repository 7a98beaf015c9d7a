/** How long one turn of the event loop is while messages of 25 MiB are signed: nobody else is served within it. */

import { generateKeyPairSync } from 'node:crypto'
import type { SigningKey } from '../../src/dkim/sign.ts'
import { authorsFor, signMessage } from '../../src/signer/sign-message.ts'
import type { Figure } from '../smtp/report.ts'

const MIB = 1024 * 1024
const key: SigningKey = {
  signingDomain: 'example.com',
  selector: 'ptt',
  algorithm: 'rsa-sha256',
  privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
}

const HEADER = 'From: joe@example.com\r\nSubject: The pictures\r\n\r\n'

/** In one piece, and in pieces as they come from a socket. */
function message(text: string, pieceOctets: number): Buffer[] {
  const whole = Buffer.concat([Buffer.from(HEADER), Buffer.alloc(25 * MIB, text)])
  const pieces: Buffer[] = []
  for (let at = 0; at < whole.length; at += pieceOctets) pieces.push(whole.subarray(at, at + pieceOctets))
  return pieces
}

const MESSAGES: readonly [name: string, text: string, pieceOctets: number, atOnce: number][] = [
  [
    'base64',
    'JVBERi0xLjQKJcfsj6IKNSAwIG9iago8PC9MZW5ndGggNiAwIFIvRmlsdGVyIC9GbGF0ZURlY29k\r\n',
    16 * 1024,
    1,
  ],
  [
    'text in one piece',
    'The telegraph office opens at eight. Whoever comes \r\nearlier may wait.\r\n',
    64 * MIB,
    1,
  ],
  ['empty lines', '\r\n', 64 * MIB, 1],
  [
    'ten of base64 at once',
    'JVBERi0xLjQKJcfsj6IKNSAwIG9iago8PC9MZW5ndGggNiAwIFIvRmlsdGVyIC\r\n',
    16 * 1024,
    10,
  ],
]

export async function turns(quick: boolean): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [name, text, pieceOctets, atOnce] of MESSAGES) {
    const content = message(text, pieceOctets)
    const sign = async (): Promise<unknown> => {
      authorsFor(new Set([key.signingDomain]), content)
      return signMessage([key], content, { timestampSeconds: 1_763_720_430 })
    }
    const rounds: number[][] = []
    for (let round = 0; round < (quick ? 3 : 10); round++) {
      const end = watchTurns()
      await Promise.all(Array.from({ length: atOnce }, sign))
      rounds.push(end())
    }
    figures.push({
      name: `25 MiB, ${name}: the longest turn`,
      value: Math.max(...shortest(rounds)),
      unit: 'ms',
      aim: { most: 5 },
      note: `that of the worst round, with all that the machine did beside: ${Math.max(...rounds.flat()).toFixed(1)}`,
    })
  }
  return figures
}

/**
 * Every round has the same turns, one after the other. What the machine does beside comes now here, now there: of each turn
 * the shortest is what it takes.
 */
function shortest(rounds: readonly number[][]): number[] {
  const turns = Math.min(...rounds.map(each => each.length))
  return Array.from({ length: turns }, (_, turn) => Math.min(...rounds.map(each => each[turn] ?? Number.NaN)))
}

/** Looks at the clock once a turn. The answer ends it: how long each turn was, in milliseconds. */
function watchTurns(): () => number[] {
  const turns: number[] = []
  let clock = performance.now()
  let ended = false
  const look = (): void => {
    const now = performance.now()
    turns.push(now - clock)
    clock = now
    if (!ended) setImmediate(look)
  }
  setImmediate(look)
  return () => {
    ended = true
    return turns
  }
}
