/** The content of a message on its way to a peer: what is in memory, or what is read while it goes, so that it need not be. */

import { DotStuffing } from '../smtp/data.ts'
import type { Reply } from '../smtp/reply.ts'
import type { Connection } from './connection.ts'

export interface Source {
  readonly sizeOctets: number
  /** How it begins; all of it, it may be. */
  readonly start: Uint8Array
  /** Fills `target` with the octets from `at` on. */
  read(at: number, target: Uint8Array): Promise<void>
}

export type Content = readonly Uint8Array[] | Source

/** What is not in memory could not be read to its end. The connection was closed: nobody has the message. */
export class ContentError extends Error {}

/** Read at once: what a socket takes at once, too. */
const PIECE_OCTETS = 256 * 1024

export const sizeOf = (content: readonly Uint8Array[]): number =>
  content.reduce((sum, piece) => sum + piece.length, 0)

/** With the time for BDAT and content; RFC 3030 §2. @throws ConnectionError, ContentError */
export async function sendChunk(connection: Connection, content: Content): Promise<Reply> {
  const { session, timeouts } = connection
  if ('start' in content) {
    await connection.write('BDAT', [session.bdat(content.sizeOctets, true), content.start])
    for await (const piece of rest(connection, content)) await connection.write('BDAT', [piece])
  } else await connection.write('BDAT', [session.bdat(sizeOf(content), true), ...content])
  return connection.reply('message', timeouts.dataTerminationMs)
}

/** To a peer that has said 354; RFC 5321 §4.5.2. @throws ConnectionError, ContentError */
export async function sendData(connection: Connection, content: Content): Promise<Reply> {
  const { session, timeouts } = connection
  const stuffing = new DotStuffing()
  if ('start' in content) {
    await connection.write('DATA block', stuffing.update(content.start))
    for await (const piece of rest(connection, content))
      await connection.write('DATA block', stuffing.update(piece))
    await connection.write('DATA block', stuffing.finish())
  } else {
    const stuffed = content.flatMap(piece => stuffing.update(piece))
    await connection.write('DATA block', [...stuffed, ...stuffing.finish()])
  }
  session.endOfData()
  return connection.reply('message', timeouts.dataTerminationMs)
}

/**
 * What follows the start. A piece is written over when the next but one is read: then the system has taken it, for each but the
 * last is so large that `write` waits for that. After an error nothing may follow: without its last octet a chunk is none, and
 * without the final dot a message is none.
 */
async function* rest(connection: Connection, source: Source): AsyncGenerator<Uint8Array> {
  const { start, sizeOctets } = source
  const buffers: Uint8Array[] = []
  for (let at = start.length, turn = 0; at < sizeOctets; at += PIECE_OCTETS, turn++) {
    const buffer = buffers[turn % 2] ?? Buffer.allocUnsafeSlow(PIECE_OCTETS)
    buffers[turn % 2] = buffer
    const piece = buffer.subarray(0, Math.min(PIECE_OCTETS, sizeOctets - at))
    try {
      await source.read(at, piece)
    } catch (error) {
      connection.destroy()
      throw new ContentError(`The content cannot be read: ${String(error)}`, { cause: error })
    }
    yield piece
  }
}
