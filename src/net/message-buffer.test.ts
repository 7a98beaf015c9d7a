import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget, MessageBuffer } from './message-buffer.ts'
import { SLAB_OCTETS, Slabs } from './slabs.ts'

/** As TLS gives them: a buffer of its own for each. */
function records(octets: Buffer, length = 16_384): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < octets.length; at += length)
    pieces.push(Buffer.from(octets.subarray(at, at + length)))
  return pieces
}

function message(length: number, seed: number): Buffer {
  const octets = Buffer.alloc(length)
  for (let at = 0; at < length; at++) octets[at] = (at * 31 + (at >> 8) * 7 + seed) & 0xff
  return octets
}

function held(octets: Buffer, slabs: Slabs | null, length?: number): MessageBuffer {
  const buffer = new MessageBuffer(new Budget(100_000_000), slabs)
  for (const record of records(octets, length)) buffer.add(record)
  return buffer
}

for (const length of [
  0,
  1,
  65_536,
  65_537,
  SLAB_OCTETS,
  SLAB_OCTETS + 65_536,
  SLAB_OCTETS * 3 + 1,
  1_000_003,
]) {
  for (const piece of [16_384, 1009, SLAB_OCTETS * 2 + 1]) {
    test(`a message of ${length} octets that comes in pieces of ${piece} is held as it is`, () => {
      const octets = message(length, 1)
      for (const slabs of [null, new Slabs()]) {
        const buffer = held(octets, slabs, piece)
        assert.equal(buffer.sizeOctets, length)
        assert.equal(Buffer.compare(Buffer.concat(buffer.pieces), octets), 0)
      }
    })
  }
}

test('a small message is not copied', () => {
  const octets = message(SLAB_OCTETS, 1)
  const buffer = new MessageBuffer(new Budget(octets.length), new Slabs())
  const pieces = records(octets)
  for (const piece of pieces) buffer.add(piece)
  assert.ok(buffer.pieces.every((piece, n) => piece === pieces[n]))
})

test('of a message that has become large nothing is held as it came', () => {
  const octets = message(SLAB_OCTETS + 1, 1)
  const buffer = new MessageBuffer(new Budget(octets.length), new Slabs())
  const pieces = records(octets)
  for (const piece of pieces) buffer.add(piece)
  const came = new Set(pieces.map(({ buffer }) => buffer))
  assert.equal(buffer.pieces.length, 2)
  assert.ok(buffer.pieces.every(({ buffer }) => !came.has(buffer)))
  assert.equal(Buffer.compare(Buffer.concat(buffer.pieces), octets), 0)
})

test('memory of a message that is over is used for the next, and of two at a time none is shared', () => {
  const slabs = new Slabs()
  const [one, other] = [message(3_000_000, 1), message(3_000_000, 2)]
  const first = held(one, slabs)
  const second = held(other, slabs)
  assert.equal(Buffer.compare(Buffer.concat(first.pieces), one), 0)
  assert.equal(Buffer.compare(Buffer.concat(second.pieces), other), 0)
  assert.equal(slabs.idle, 0)
  const used = new Set(first.pieces.map(({ buffer }) => buffer))
  first.clear()
  assert.equal(slabs.idle, used.size)
  const third = held(message(3_000_000, 3), slabs)
  assert.ok(third.pieces.every(({ buffer }) => used.has(buffer)))
  assert.equal(Buffer.compare(Buffer.concat(second.pieces), other), 0)
})

test('memory that nobody has wanted for a while is given back', t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const slabs = new Slabs()
  const buffers = [1, 2, 3].map(seed => held(message(1_000_000, seed), slabs))
  for (const buffer of buffers) buffer.clear()
  const idle = slabs.idle
  t.mock.timers.tick(5000)
  assert.equal(slabs.idle, idle)
  const again = held(message(1_000_000, 4), slabs)
  const { buffer: memory } = again.pieces.at(-1) ?? assert.fail()
  again.clear()
  t.mock.timers.tick(5000)
  assert.equal(slabs.idle, idle / 3)
  t.mock.timers.tick(5000)
  assert.equal(slabs.idle, 0)
  assert.equal(memory.byteLength, 0)
})

test('what does not fit into the budget is given up, with all that it had', () => {
  const slabs = new Slabs()
  const budget = new Budget(500_000)
  const buffer = new MessageBuffer(budget, slabs)
  for (const record of records(message(600_000, 1))) buffer.add(record)
  assert.equal(buffer.overflowed, true)
  assert.deepEqual([buffer.pieces.length, buffer.sizeOctets], [0, 0])
  assert.equal(slabs.idle, 2)
  assert.equal(budget.take(500_000), true)
})
