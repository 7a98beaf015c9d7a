import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { octets } from '../contract.ts'
import type { JournalFile } from './files.ts'
import { Journal } from './journal.ts'
import {
  contentOf,
  hasNote,
  isUnused,
  type Note,
  noteOf,
  PEEK_OCTETS,
  peekAt,
  readNotes,
  salvageNotes,
} from './journal-note.ts'

const HEADER_OCTETS = 24
const SECTOR_OCTETS = 512
/** Of a file whose largest note has 64 octets. */
const SIZE = 1024

interface Told {
  readonly at: number
  readonly note: Buffer
}

interface Write {
  /** Its place: of all laps. */
  readonly at: number
  readonly octets: Buffer
  /** What had been released as it began. */
  readonly released: number
}

const SEED = 0x9e3779b9

/** Its file is in memory, and sees to it that nothing is written over that is not released. A write waits for `before`. */
function openJournal(size: number, before: (index: number) => Promise<void> = async () => {}) {
  const disk = Buffer.alloc(size)
  const writes: Write[] = []
  const state = { released: 0, end: 0, closed: false }
  const file: JournalFile = {
    async write(pieces, start) {
      const octets = Buffer.concat(pieces)
      const at = state.end + ((start - (state.end % size) + size) % size)
      assert.ok(start + octets.length <= size, 'it goes over the end of a lap')
      assert.ok(at + octets.length <= state.released + size, 'it goes over what is not released')
      await before(writes.push({ at, octets, released: state.released }) - 1)
      disk.set(octets, start)
      state.end = at + octets.length
    },
    async close() {
      state.closed = true
    },
  }
  const journal = new Journal(file, size, SEED)
  const release = (at: number) => {
    state.released = at
    journal.release(at)
  }
  /** Resolves to its place, which is told as the journal ends behind it. */
  const append = async (note: Buffer, when?: 'now' | 'soon') => {
    let place: number | null = null
    await journal.append(note, when, at => {
      assert.equal(journal.tail, at + note.length)
      place = at
    })
    return place ?? assert.fail('its place was not told')
  }
  return { journal, append, disk, writes, state, release }
}

function noteOfSize(size: number, seed = size): Buffer {
  const headOctets = 1 + (seed % (size - HEADER_OCTETS))
  return noteOf('h'.repeat(headOctets), [octets(size - HEADER_OCTETS - headOctets, seed)])
}

/** As they stand in the file. */
const asTold = (disk: Buffer, notes: Iterable<Note>): Told[] =>
  Array.from(notes, ({ at, next, head, content }) => {
    const start = at % disk.length
    const note = Buffer.from(disk.subarray(start, start + next - at))
    assert.deepEqual(note.subarray(HEADER_OCTETS), Buffer.concat([Buffer.from(head), content]))
    return { at, note }
  })

const read = (disk: Buffer, from: number): Told[] => asTold(disk, readNotes(disk, from, SEED))

function salvage(disk: Buffer, from: number): { readonly told: Told[]; readonly lostOctets: number } {
  const { notes, lostOctets } = salvageNotes(disk, from, SEED)
  return { told: asTold(disk, notes), lostOctets }
}

/** Each look at the clock is so much later. No timer fires before `passes` says how many milliseconds have passed. */
function clockOf(t: TestContext, stepMs: number): { passes(ms: number): void } {
  let nowMs = 0
  t.mock.method(performance, 'now', () => (nowMs += stepMs))
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return {
    passes(ms) {
      nowMs += ms
      t.mock.timers.tick(ms)
    },
  }
}

/** Until nothing goes on but what waits for the clock or for the test. */
const quiet = () => new Promise(resolve => setImmediate(resolve))

test('a note has its head and its content, which is copied', () => {
  const piece = Buffer.from('Gr')
  const note = noteOf('für', [piece, Buffer.from('üße')])
  piece.fill(0)
  assert.equal(contentOf(note).toString(), 'Grüße')
  assert.equal(note.toString('utf8', HEADER_OCTETS), 'fürGrüße')
  assert.equal(contentOf(noteOf('head')).length, 0)
})

test('its first octets tell that there is one, at its place and nowhere else', async () => {
  const { append, disk } = openJournal(SIZE)
  const peek = (at: number) => disk.subarray(at, at + PEEK_OCTETS)
  assert.ok(!hasNote(peek(0), 0))
  assert.ok(isUnused(peek(0)))
  for (const size of [50, 51]) await append(noteOfSize(size))
  assert.ok(!isUnused(peek(0)))
  for (const at of [0, 50]) assert.ok(hasNote(peek(at), at))
  for (const at of [51, 101]) assert.ok(!hasNote(peek(at), at))
  assert.ok(!hasNote(peek(50), 50 + SIZE))
  assert.ok(!hasNote(peek(50).subarray(0, -1), 50))
})

const peeks: [from: number, at: number][] = [
  [0, 0],
  [1000, 1000],
  [1001, 1024],
  [1024, 1024],
  [2047, 2048],
]
for (const [from, at] of peeks)
  test(`from ${from} on a note may begin at ${at}`, () => assert.equal(peekAt(from, SIZE), at))

const lengths: [what: string, length: number, headOctets: number][] = [
  ['a head that is longer than the note', 10, 11],
  ['a note that is longer than the lap', SIZE - HEADER_OCTETS + 1, 4],
]
for (const [what, length, headOctets] of lengths)
  test(`${what} is none, whatever its CRC`, () => {
    const disk = Buffer.concat([noteOf('head', [octets(6)]), Buffer.alloc(SIZE)], SIZE)
    disk.writeUInt32LE(length, 16)
    disk.writeUInt32LE(headOctets, 20)
    disk.writeUInt32LE(crc32(disk.subarray(8, HEADER_OCTETS + length)), 4)
    assert.deepEqual(Array.from(readNotes(disk, 0, SEED)), [])
  })

test('there is room for fifteen of the largest, whether they are written or wait', async () => {
  const { journal, append, release } = openJournal(SIZE)
  assert.ok(!journal.hasRoom(65))
  const appends: Promise<number>[] = []
  for (let n = 0; n < 15; n++) {
    assert.ok(journal.hasRoom(64))
    appends.push(append(noteOfSize(64)))
  }
  assert.equal(journal.fill, 15 / 16)
  assert.ok(!journal.hasRoom(25))
  await Promise.all(appends)
  assert.equal(journal.fill, 15 / 16)
  assert.ok(!journal.hasRoom(25))
  release(64)
  assert.ok(journal.hasRoom(64))
})

test('a lap may end with a rest of any size', async t => {
  clockOf(t, 1000)
  for (let rest = 0; rest < 64; rest++) {
    const { journal, append, disk, release } = openJournal(SIZE)
    // In the second lap there is something where nothing is written.
    for (const end of [SIZE, 2 * SIZE - rest]) {
      let last = noteOf('')
      for (let left = end - journal.tail; left > 0; left = end - journal.tail) {
        release(journal.tail)
        last = noteOfSize(left > 64 ? Math.min(64, left >> 1) : left)
        await append(last)
      }
      const first = noteOfSize(64)
      const at = Math.ceil(end / SIZE) * SIZE
      assert.equal(await append(first), at)
      assert.deepEqual(read(disk, end), [{ at, note: first }])
      const before = { at: end - last.length, note: last }
      assert.deepEqual(read(disk, before.at), [before, { at, note: first }])
    }
  }
})

test('what comes during a write shares the next one, and is acknowledged after it', async t => {
  const clock = clockOf(t, 0)
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>())
  const { append, writes } = openJournal(SIZE, index => gates[index]?.promise ?? assert.fail())
  const places: number[] = []
  const begin = (size: number) => append(noteOfSize(size)).then(at => places.push(at))
  begin(30)
  await quiet()
  for (const size of [31, 32, 33]) begin(size)
  await quiet()
  assert.deepEqual([writes.length, places], [1, []])
  gates[0]?.resolve()
  await quiet()
  assert.deepEqual([writes.map(({ at }) => at), places], [[0, 30], [0]])
  gates[1]?.resolve()
  await quiet()
  assert.deepEqual(places, [0, 30, 61, 93])
  // Several came together: the next waits for others, for a while.
  const next = begin(34)
  await quiet()
  clock.passes(1)
  await quiet()
  assert.equal(writes.length, 2)
  clock.passes(1)
  gates[2]?.resolve()
  await next
  assert.equal(places.at(-1), 126)
})

test('what nobody waits for shares the next write, or is written after a while', async t => {
  const clock = clockOf(t, 0)
  const { append, writes } = openJournal(SIZE)
  await append(noteOfSize(30))
  const soon = append(noteOfSize(31), 'soon')
  await quiet()
  assert.equal(writes.length, 1)
  const now = append(noteOfSize(32), 'now')
  assert.deepEqual(await Promise.all([soon, now]), [30, 61])
  assert.equal(writes.length, 2)
  const later = append(noteOfSize(33), 'soon')
  await quiet()
  assert.equal(writes.length, 2)
  clock.passes(2)
  assert.equal(await later, 93)
})

const failing: [what: string, sizes: number[], failures: number][] = [
  ['with notes', [50], 1],
  // The rest has room for nothing but its end.
  ['at the end of a lap', [...Array(15).fill(64), 40], 1],
  ['with notes, as any other', [50], Number.POSITIVE_INFINITY],
]
for (const [what, sizes, failures] of failing)
  test(`a write ${what} that fails is the last one, and takes nothing back`, async t => {
    clockOf(t, 1000)
    const gate = Promise.withResolvers<void>()
    const { journal, append, disk, writes, state } = openJournal(SIZE, async index => {
      if (index >= sizes.length && index < sizes.length + failures) await gate.promise
    })
    const notes: Told[] = []
    for (const size of sizes) {
      const note = noteOfSize(size)
      notes.push({ at: await append(note), note })
    }
    const end = journal.tail
    const appends = [60, 61].map(size => append(noteOfSize(size)))
    await quiet()
    appends.push(append(noteOfSize(62)), append(noteOfSize(63), 'soon'))
    const settled = Promise.allSettled(appends)
    const error = new Error('EIO')
    // It has reached the disk: all of it where it can be wiped.
    const { octets } = writes.at(-1) ?? assert.fail()
    disk.set(failures === 1 ? octets : octets.subarray(0, 40), end % SIZE)
    gate.reject(error)
    assert.deepEqual(
      await settled,
      appends.map(() => ({ status: 'rejected', reason: error })),
    )
    await assert.rejects(append(noteOfSize(30)), error)
    assert.equal(journal.tail, end)
    assert.deepEqual(read(disk, 0), notes)
    await journal.close()
    assert.ok(state.closed)
  })

test('it is closed when all that was begun is written', async t => {
  clockOf(t, 1000)
  const gate = Promise.withResolvers<void>()
  const { journal, append, state } = openJournal(SIZE, () => gate.promise)
  const appends = [append(noteOfSize(30))]
  await quiet()
  appends.push(append(noteOfSize(31)), append(noteOfSize(32), 'soon'))
  const closing = journal.close()
  await quiet()
  assert.ok(!state.closed)
  gate.resolve()
  await closing
  assert.ok(state.closed)
  assert.deepEqual(await Promise.all(appends), [0, 30, 61])
})

/** What is done in turn. */
interface Step {
  /** Notes that come at once, from the smallest, 0, to the largest, 1,000. */
  readonly sizes: readonly number[]
  /** For how long what was begun goes on; the most: until all is written. */
  readonly turns: number
  /** So many notes are kept afterwards, at most. */
  readonly keep: number
}

const TURNS = 10
const step: fc.Arbitrary<Step> = fc.record({
  sizes: fc.array(fc.oneof(fc.nat(1000), fc.constantFrom(0, 1, 999, 1000)), { minLength: 1, maxLength: 12 }),
  turns: fc.nat(TURNS),
  keep: fc.oneof(fc.nat(3), fc.nat(40)),
})
const story = fc.record({
  size: fc.constantFrom(SIZE, 1031, 8192, 8199),
  steps: fc.array(step, { size: 'max', maxLength: 40 }),
})

/** All that was acknowledged, and of it what was not released. */
async function run({ size, steps }: { readonly size: number; readonly steps: readonly Step[] }) {
  const opened = openJournal(size, async () => {
    for (let n = 0; n < 3; n++) await null
  })
  const { journal, append, state, release } = opened
  const told: Told[] = []
  const appends: Promise<unknown>[] = []
  const most = Math.floor(size / 16) - HEADER_OCTETS - 1
  let refused = 0
  for (const { sizes, turns, keep } of steps) {
    for (const part of sizes) {
      const length = HEADER_OCTETS + 1 + Math.round((most * part) / 1000)
      const note = noteOfSize(length, length + told.length)
      if (journal.hasRoom(length))
        appends.push(append(note).then(at => told.push({ at, note: Buffer.from(note) })))
      else refused++
    }
    for (let n = 0; n < turns; n++) await null
    if (turns === TURNS) await Promise.all(appends)
    release(Math.max(state.released, keep === 0 ? journal.tail : (told.at(-keep)?.at ?? 0)))
  }
  await Promise.all(appends)
  return { ...opened, size, told, refused, kept: told.filter(({ at }) => at >= state.released) }
}

test('whatever is kept is read, in order and octet for octet, and nothing else', async t => {
  clockOf(t, 1000)
  const sums = { notes: 0, laps: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(story, async story => {
      const { disk, journal, state, told, kept, size, refused } = await run(story)
      assert.deepEqual(read(disk, state.released), kept)
      for (const [index, { at }] of kept.entries()) assert.deepEqual(read(disk, at), kept.slice(index))
      assert.deepEqual(read(disk, journal.tail), [])
      assert.deepEqual(salvage(disk, state.released), { told: kept, lostOctets: 0 })
      let end = 0
      for (const { at, note } of told) {
        const room = size - (end % size)
        assert.equal(at, note.length > room ? end + room : end)
        end = at + note.length
      }
      assert.equal(journal.tail, end)
      sums.notes += told.length
      sums.laps += Math.floor(end / size)
      sums.refused += refused
    }),
    { seed: 9051, numRuns: 80 },
  )
  assert.ok(sums.notes > 5000 && sums.laps > 200 && sums.refused > 500, JSON.stringify(sums))
})

test('of a write that was torn there are whole notes or none, after all that was acknowledged', async t => {
  clockOf(t, 1000)
  /** How much of it has come to the disk: the octets in front, or some sectors. */
  const tear = fc.record({ pick: fc.nat(), front: fc.nat(), sectors: fc.option(fc.nat({ max: 0xffff })) })
  const tears = fc.array(tear, { minLength: 10, maxLength: 10 })
  await fc.assert(
    fc.asyncProperty(story, tears, async (story, tears) => {
      const { writes, told, size } = await run(story)
      for (const { pick, front, sectors } of writes.length === 0 ? [] : tears) {
        const count = pick % writes.length
        const disk = Buffer.alloc(size)
        for (const { at, octets } of writes.slice(0, count)) disk.set(octets, at % size)
        const { at, octets, released } = writes[count] ?? assert.fail()
        const start = at % size
        const reached = front % (octets.length + 1)
        for (const [index, octet] of octets.entries()) {
          const sector = Math.floor((start + index) / SECTOR_OCTETS)
          if (sectors === null ? index < reached : (sectors >> sector) & 1) disk[start + index] = octet
        }
        const before = told.filter(note => note.at >= released && note.at < at)
        const within = told.filter(note => note.at >= at && note.at < at + octets.length)
        const damaged = within.findIndex(
          ({ at, note }) => !note.equals(disk.subarray(at % size, (at % size) + note.length)),
        )
        const whole = damaged < 0 ? within : within.slice(0, damaged)
        assert.deepEqual(read(disk, released), [...before, ...whole])
        const standing = within.filter(({ at, note }) =>
          note.equals(disk.subarray(at % size, (at % size) + note.length)),
        )
        assert.deepEqual(salvage(disk, released).told, [...before, ...standing])
      }
    }),
    { seed: 512, numRuns: 60 },
  )
})

test('a bit that is not as it was ends the reading, at its note', async t => {
  clockOf(t, 1000)
  const bits = fc.array(fc.nat(), { minLength: 30, maxLength: 30 })
  let damaged = 0
  await fc.assert(
    fc.asyncProperty(story, bits, async (story, bits) => {
      const { disk, writes, kept, size, state } = await run(story)
      for (const each of bits) {
        const index = (each >> 3) % size
        const flip = () => disk.writeUInt8(disk.readUInt8(index) ^ (1 << (each & 7)), index)
        // What was written there last: a note, or the end of a lap.
        const write = writes.findLast(
          ({ at, octets }) => index >= at % size && index < (at % size) + octets.length,
        )
        const place = write === undefined ? -1 : write.at + index - (write.at % size)
        const expected =
          place < state.released ? kept : kept.filter(({ at, note }) => at + note.length <= place)
        flip()
        assert.deepEqual(read(disk, state.released), expected)
        // What is behind it can be had all the same.
        const others = kept.filter(({ at, note }) => place < at || place >= at + note.length)
        const { told, lostOctets } = salvage(disk, state.released)
        assert.deepEqual(told, others)
        const isLost = kept.length > others.length && others.some(({ at }) => at > place)
        if (isLost) assert.ok(lostOctets > 0)
        damaged += Number(isLost)
        flip()
      }
    }),
    { seed: 32, numRuns: 60 },
  )
  assert.ok(damaged > 100, `${damaged} with notes behind them`)
})

test('how many octets are lost is told, over the end of a lap too', async t => {
  clockOf(t, 1000)
  const { append, disk, release } = openJournal(SIZE)
  for (let at = 0; at < SIZE - 64; at += 64) await append(noteOfSize(64))
  release(10 * 64)
  // One of 40 octets does not fill the lap; then the next begins.
  for (const size of [40, 60, 60]) await append(noteOfSize(size))
  const whole = salvage(disk, 10 * 64)
  assert.equal(whole.lostOctets, 0)
  assert.deepEqual(
    whole.told.slice(-3).map(({ at }) => at),
    [SIZE - 64, SIZE, SIZE + 60],
  )
  disk.fill(0, SIZE - 64 + 10, SIZE)
  disk.fill(0, 0, 10)
  const { told, lostOctets } = salvage(disk, 10 * 64)
  assert.deepEqual(
    told,
    whole.told.filter(({ at }) => at !== SIZE - 64 && at !== SIZE),
  )
  assert.equal(lostOctets, 64 + 60)
})
