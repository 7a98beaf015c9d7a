/**
 * ELF files of 64 bits, little-endian (System V gABI): which shared libraries a program wants (the dynamic section), where such a
 * file ends.
 */

const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const SHT_NOBITS = 8
const DT_NEEDED = 1n
const DT_STRTAB = 5n

export interface Wants {
  /** The program that loads it, as a path; `null` for a library. */
  readonly interpreter: string | null
  /** Names such as `libc.so.6`. */
  readonly libraries: readonly string[]
}

/** `null` when it is no such file. */
export function readElf(octets: Buffer): Wants | null {
  if (octets.length < 64 || octets.readUInt32BE(0) !== 0x7f454c46 || octets[4] !== 2 || octets[5] !== 1)
    return null
  const segments = programHeaders(octets)
  const interpreter = segments.find(({ type }) => type === PT_INTERP)
  return {
    interpreter: interpreter ? text(octets, interpreter.offset) : null,
    libraries: libraries(octets, segments),
  }
}

/** Of what `readElf` reads: its last segment's or section's end, or that of their tables. What is behind belongs to others. */
export function sizeOfElf(octets: Buffer): number {
  const sections = Number(octets.readBigUInt64LE(40))
  const [size, count] = [octets.readUInt16LE(58), octets.readUInt16LE(60)]
  const ends = Array.from({ length: sections === 0 ? 0 : count }, (_, number) => {
    const at = sections + number * size
    const takesNone = octets.readUInt32LE(at + 4) === SHT_NOBITS
    return takesNone ? 0 : Number(octets.readBigUInt64LE(at + 24) + octets.readBigUInt64LE(at + 32))
  })
  const segments = programHeaders(octets).map(({ offset, octets }) => offset + octets)
  return Math.max(sections + count * size, ...segments, ...ends)
}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly octets: number
}

function programHeaders(octets: Buffer): Segment[] {
  const start = Number(octets.readBigUInt64LE(32))
  const size = octets.readUInt16LE(54)
  return Array.from({ length: octets.readUInt16LE(56) }, (_, number) => {
    const at = start + number * size
    return {
      type: octets.readUInt32LE(at),
      offset: Number(octets.readBigUInt64LE(at + 8)),
      address: Number(octets.readBigUInt64LE(at + 16)),
      octets: Number(octets.readBigUInt64LE(at + 32)),
    }
  })
}

function libraries(octets: Buffer, segments: readonly Segment[]): string[] {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (!dynamic) return []
  const names: number[] = []
  let strings: number | undefined
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.octets; at += 16) {
    const tag = octets.readBigUInt64LE(at)
    const value = Number(octets.readBigUInt64LE(at + 8))
    if (tag === DT_NEEDED) names.push(value)
    if (tag === DT_STRTAB) strings = offsetOf(value, segments)
  }
  return strings === undefined ? [] : names.map(name => text(octets, (strings ?? 0) + name))
}

/** Where in the file that is which will be at `address`. */
function offsetOf(address: number, segments: readonly Segment[]): number | undefined {
  const segment = segments.find(
    one => one.type === PT_LOAD && address >= one.address && address < one.address + one.octets,
  )
  return segment && address - segment.address + segment.offset
}

function text(octets: Buffer, start: number): string {
  return octets.toString('latin1', start, octets.indexOf(0, start))
}
