/**
 * What stands in a journal, and how it is read.
 *
 *   note   magic (4), CRC-32 of all that follows (4), place (8), length of what follows (4), of its head (4), head, content
 *
 * The CRC begins with a number that only this journal has: at its end a reader sees what was there a lap before, which may be the
 * content of a message, and nobody can write a note into one.
 *
 * A reader takes notes as long as each is at its place and whole (`readNotes`): whatever was acknowledged comes before the first
 * that is not, for a write begins when the one before it is on the disk. The end of a lap without room for a note, or with a note
 * that has no head, is passed over. Unless the disk has lost what it had: then there are notes behind it (`salvageNotes`).
 */

import { crc32 } from 'node:zlib'

const MAGIC = 0x7074746a
export const HEADER_OCTETS = 24
const CRC_FROM = 8

/** Ready to be appended; `content` is copied. */
export function noteOf(head: string, content: readonly Uint8Array[] = []): Buffer {
  const headOctets = Buffer.byteLength(head)
  const contentOctets = content.reduce((sum, { length }) => sum + length, 0)
  const note = Buffer.allocUnsafeSlow(HEADER_OCTETS + headOctets + contentOctets)
  note.writeUInt32LE(MAGIC, 0)
  note.writeUInt32LE(headOctets + contentOctets, 16)
  note.writeUInt32LE(headOctets, 20)
  let at = HEADER_OCTETS + note.write(head, HEADER_OCTETS)
  for (const piece of content) {
    note.set(piece, at)
    at += piece.length
  }
  return note
}

/** The content in a note. */
export function contentOf(note: Buffer): Buffer {
  return note.subarray(HEADER_OCTETS + note.readUInt32LE(20))
}

/** At that place, in the journal with that number. */
export function seal(note: Buffer, at: number, seed: number): void {
  note.writeUInt32LE(MAGIC, 0)
  note.writeDoubleLE(at, 8)
  note.writeUInt32LE(crc32(note.subarray(CRC_FROM), seed), 4)
}

export interface Note {
  readonly at: number
  /** Where the next one is. */
  readonly next: number
  readonly head: string
  readonly content: Buffer
}

/** The notes from that place on, of a journal whose file has these octets. */
export function* readNotes(file: Buffer, from: number, seed: number): Generator<Note, void> {
  for (let at = from; at < from + file.length; ) {
    const found = lookAt(file, at, seed)
    if (found === null) return
    if ('head' in found) yield found
    at = found.next
  }
}

/**
 * The same, and the notes behind what is none: of a journal that nobody writes any more. Of a write that a crash has torn there are
 * notes then of which nobody was told. To take them loses nothing: whoever sends such a message again is told that it is here.
 * @returns `lostOctets`: how many are none, with notes behind them
 */
export function salvageNotes(
  file: Buffer,
  from: number,
  seed: number,
): { readonly notes: readonly Note[]; readonly lostOctets: number } {
  const notes: Note[] = []
  const until = from + file.length
  let lostOctets = 0
  let end = from
  for (let at: number | null = from; at !== null && at < until; ) {
    const found = lookAt(file, at, seed)
    if (found === null) {
      at = nextMark(file, at + 1, until)
      continue
    }
    lostOctets += at - end
    if ('head' in found) notes.push(found)
    at = end = found.next
  }
  return { notes, lostOctets }
}

/** The note at that place; where none can be, where to go on; `null`: there is none. */
function lookAt(file: Buffer, at: number, seed: number): Note | { readonly next: number } | null {
  const octets = file.length
  const start = at % octets
  const room = octets - start
  if (room < HEADER_OCTETS) return { next: at + room }
  if (!hasNote(file.subarray(start), at)) return null
  const length = file.readUInt32LE(start + 16)
  const headOctets = file.readUInt32LE(start + 20)
  const end = start + HEADER_OCTETS + length
  if (end > octets || headOctets > length) return null
  if (file.readUInt32LE(start + 4) !== crc32(file.subarray(start + CRC_FROM, end), seed)) return null
  if (length === 0) return { next: at + room }
  const content = start + HEADER_OCTETS + headOctets
  const next = at + HEADER_OCTETS + length
  const head = file.toString('utf8', start + HEADER_OCTETS, content)
  return { at, next, head, content: file.subarray(content, end) }
}

const MARK = Buffer.alloc(4)
MARK.writeUInt32LE(MAGIC)

/** The first place from `from` on where a note seems to begin; `null`: there is none before `until`. */
function nextMark(file: Buffer, from: number, until: number): number | null {
  for (let at = from; at < until; ) {
    const start = at % file.length
    const found = file.indexOf(MARK, start)
    // None to the end of the lap: on to the next one.
    at += (found < 0 ? file.length : found) - start
    if (found < 0) continue
    if (at < until && hasNote(file.subarray(found), at)) return at
    at++
  }
  return null
}

/** So many octets say whether there is a note, `hasNote`, at a place: perhaps not a whole one. */
export const PEEK_OCTETS = 16

/** The first place from `from` on where there is room for a note; the file has so many octets. */
export function peekAt(from: number, octets: number): number {
  const room = octets - (from % octets)
  return room < HEADER_OCTETS ? from + room : from
}

/** Of the first octets of a file: nothing was ever written there. */
export function isUnused(start: Buffer): boolean {
  return start.every(octet => octet === 0)
}

export function hasNote(start: Buffer, at: number): boolean {
  return start.length >= PEEK_OCTETS && start.readUInt32LE(0) === MAGIC && start.readDoubleLE(8) === at
}
