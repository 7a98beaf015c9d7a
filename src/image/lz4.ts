/** LZ4 as kernels are packed with it: the legacy frame (LZ4 Frame Format), of blocks (LZ4 Block Format) that stand alone. */

const MAGIC_OCTETS = 4
/** What all blocks but the last have when they are unpacked. */
const BLOCK_OCTETS = 8 * 2 ** 20
const LEAST_MATCH = 4
/** A length of so many is continued. */
const CONTINUED = 15

/**
 * @param frame from its magic number on, and nothing after it
 * @param octets how many it has when it is unpacked
 * @throws Error when it is damaged
 */
export function unpackLz4(frame: Buffer, octets: number): Buffer {
  const out = Buffer.allocUnsafe(octets)
  let [at, done] = [MAGIC_OCTETS, 0]
  while (at < frame.length) {
    const end = at + 4 + (at + 4 <= frame.length ? frame.readUInt32LE(at) : 0)
    if (end > frame.length || end === at + 4) throw damaged(at)
    done += unpackBlock(frame.subarray(at + 4, end), out.subarray(done, done + BLOCK_OCTETS))
    at = end
  }
  if (done !== octets) throw new Error(`LZ4: ${done} octets were unpacked, and ${octets} were promised`)
  return out
}

/** Sequences of literals and of a match in what is unpacked already. How many octets came of it. */
function unpackBlock(block: Buffer, out: Buffer): number {
  let [at, done] = [0, 0]
  const lengthFrom = (short: number): number => {
    let length = short
    for (let more = 255; short === CONTINUED && more === 255; at++) {
      more = block[at] ?? truncated()
      length += more
    }
    return length
  }
  while (at < block.length) {
    const token = block[at++] ?? truncated()
    const literals = lengthFrom(token >> 4)
    if (at + literals > block.length || done + literals > out.length) throw damaged(at)
    block.copy(out, done, at, at + literals)
    at += literals
    done += literals
    // The last sequence has no match.
    if (at === block.length) return done
    if (at + 2 > block.length) throw damaged(at)
    const distance = block.readUInt16LE(at)
    at += 2
    const match = lengthFrom(token & 15) + LEAST_MATCH
    if (distance === 0 || distance > done || done + match > out.length) throw damaged(at)
    copyMatch(out, done, distance, match)
    done += match
  }
  throw damaged(at)
}

/** A match may reach into itself, and repeats then what is between. */
function copyMatch(out: Buffer, to: number, distance: number, octets: number): void {
  for (let copied = 0; copied < octets; ) {
    const now = Math.min(octets - copied, distance + copied)
    out.copyWithin(to + copied, to - distance, to - distance + now)
    copied += now
  }
}

function truncated(): never {
  throw new Error('LZ4: a block ends too early')
}

function damaged(at: number): Error {
  return new Error(`LZ4: damaged at ${at}`)
}
