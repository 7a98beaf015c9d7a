/** What a machine that stopped has left of the queue's journal. */

import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import {
  hasNote,
  isUnused,
  PEEK_OCTETS,
  peekAt,
  readNotes,
  salvageNotes,
} from '../../../src/queue/embedded/journal-note.ts'
import type { Target } from '../target.ts'

const SEED = 0x01234567
const HEADER_OCTETS = 24
const PLACES = [0, 1, 40, 1000, 5000]

/** A note of `octets` for the place, whole but for what `octets` say. */
function noteAt(at: number, octets: Buffer): Buffer {
  const note = Buffer.concat([Buffer.alloc(HEADER_OCTETS), octets])
  note.writeUInt32LE(0x7074746a, 0)
  note.writeDoubleLE(at, 8)
  note.writeUInt32LE(octets.length, 16)
  note.writeUInt32LE(octets[0] ?? 0, 20)
  note.writeUInt32LE(crc32(note.subarray(8), SEED), 4)
  return note
}

const notes: Target = {
  name: 'journal-notes',
  words: PLACES.map(at => noteAt(at, Buffer.from('\x02{}content'))).concat(noteAt(0, Buffer.alloc(0))),
  run(input) {
    const told: string[] = []
    for (const from of PLACES) {
      // As it is, and behind a note of which only the length of its head may be wrong.
      const sealed = noteAt(from, input)
      const file = Buffer.alloc(sealed.length + input.length)
      sealed.copy(file, from % file.length)
      for (const octets of [input, file]) {
        let end = from
        let count = 0
        for (const { at, next, head, content } of readNotes(octets, from, SEED)) {
          assert.ok(at >= end && next > at && next <= from + 2 * octets.length)
          assert.ok(hasNote(octets.subarray(at % octets.length), at))
          assert.ok(head.length + content.length <= octets.length)
          end = next
          count++
        }
        const { notes, lostOctets } = salvageNotes(octets, from, SEED)
        assert.ok(notes.length >= count && lostOctets >= 0 && lostOctets <= octets.length)
        told.push(`${Math.min(count, 3)}`)
        if (octets.length === 0) continue
        const place = peekAt(from, octets.length)
        assert.ok(place >= from && place < from + HEADER_OCTETS)
        if (count > 0) assert.ok(hasNote(octets.subarray(place % octets.length), place))
      }
    }
    return `${told.join('')} ${isUnused(input.subarray(0, PEEK_OCTETS))}`
  },
}

export const queueTargets: readonly Target[] = [notes]
