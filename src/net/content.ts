/** The content of a message on its way to a peer: what is in memory, or what is read while it goes, so that it need not be. */

import { DotStuffing } from '../smtp/data.ts'
import type { Reply } from '../smtp/reply.ts'
import type { Connection } from './connection.ts'
import { Slabs } from './slabs.ts'

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

/** Read at once at most: with its dots doubled it still goes in one write. */
const PIECE_OCTETS = 192 * 1024
/** From here on `write` comes back when the system has taken all that was written. */
const FLUSHED_OCTETS = 64 * 1024

const SLABS = new Slabs()

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
 * What follows the start, in pieces of about the same size. All are read into the same memory, which others have afterwards: so
 * none is so small that it may wait in a socket that a peer does not read. What failed may wait there still, and keeps its memory.
 * After an error nothing may follow: without its last octet a chunk is none, and without the final dot a message is none.
 */
async function* rest(connection: Connection, source: Source): AsyncGenerator<Uint8Array> {
  const { start, sizeOctets } = source
  const octets = sizeOctets - start.length
  if (octets === 0) return
  const pieceOctets = Math.ceil(octets / Math.ceil(octets / PIECE_OCTETS))
  const isFlushed = octets - pieceOctets * (Math.ceil(octets / pieceOctets) - 1) >= FLUSHED_OCTETS
  const slab = isFlushed ? SLABS.take() : Buffer.allocUnsafeSlow(pieceOctets)
  for (let at = start.length; at < sizeOctets; at += pieceOctets) {
    const piece = slab.subarray(0, Math.min(pieceOctets, sizeOctets - at))
    try {
      await source.read(at, piece)
    } catch (error) {
      connection.destroy()
      throw new ContentError(`The content cannot be read: ${String(error)}`, { cause: error })
    }
    yield piece
  }
  if (isFlushed) SLABS.give(slab)
}
