/**
 * The frame of a DNS message, RFC 1035 §4.1: header, names, questions, and records as far as their RDATA. It is ours
 * because dns-packet cannot write class NONE (RFC 2136 §2.4), misreads the empty RDATA that UPDATE is full of, does not
 * say where a record starts, which TSIG needs, and reads a label with a dot in it as two.
 */

import { formatLabels, labelsOf, MAX_LABEL_OCTETS, MAX_NAME_OCTETS } from './name.ts'

/** The octets are no DNS message: RCODE 1. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}

export const HEADER_OCTETS = 12

/** RFC 1035 §4.1.1; the bits of the second word. */
export const FLAG = {
  response: 1 << 15,
  authoritative: 1 << 10,
  truncated: 1 << 9,
  recursionDesired: 1 << 8,
  recursionAvailable: 1 << 7,
  authenticData: 1 << 5, // RFC 4035 §3.2.3
  checkingDisabled: 1 << 4, // RFC 4035 §3.2.2
} as const

/** Where `ARCOUNT` is. */
export const ARCOUNT_OFFSET = 10

export interface Frame {
  readonly id: number
  readonly flags: number
  readonly questions: readonly FrameQuestion[]
  /** Answer, authority and additional; prerequisite, update and additional in an UPDATE (RFC 2136 §2.2). */
  readonly sections: readonly [answers: FrameRecord[], authorities: FrameRecord[], additionals: FrameRecord[]]
}

export interface FrameQuestion {
  readonly name: string
  readonly type: number
  readonly class: number
}

export interface FrameRecord {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  /** Offsets into the message: the owner name, RDLENGTH, and the first octet after the RDATA. */
  readonly start: number
  readonly dataStart: number
  readonly end: number
}

/** @throws FormatError */
export function readFrame(octets: Buffer): Frame {
  if (octets.length < HEADER_OCTETS) throw new FormatError('shorter than a header')
  let at = HEADER_OCTETS

  const name = (): string => {
    const { text, end } = readName(octets, at)
    at = end
    return text
  }
  const need = (count: number): number => {
    if (at + count > octets.length) throw new FormatError(`cut short at octet ${octets.length}`)
    at += count
    return at - count
  }
  const question = (): FrameQuestion => {
    const owner = name()
    const fixed = need(4)
    return { name: owner, type: octets.readUInt16BE(fixed), class: octets.readUInt16BE(fixed + 2) }
  }
  const record = (): FrameRecord => {
    const start = at
    const owner = name()
    const fixed = need(10)
    const dataStart = fixed + 8
    need(octets.readUInt16BE(dataStart))
    return {
      name: owner,
      type: octets.readUInt16BE(fixed),
      class: octets.readUInt16BE(fixed + 2),
      ttl: octets.readUInt32BE(fixed + 4),
      start,
      dataStart,
      end: at,
    }
  }
  const list = <T>(count: number, read: () => T): T[] => {
    const items: T[] = []
    while (items.length < count) items.push(read())
    return items
  }

  const frame: Frame = {
    id: octets.readUInt16BE(0),
    flags: octets.readUInt16BE(2),
    questions: list(octets.readUInt16BE(4), question),
    sections: [
      list(octets.readUInt16BE(6), record),
      list(octets.readUInt16BE(8), record),
      list(octets.readUInt16BE(ARCOUNT_OFFSET), record),
    ],
  }
  if (at !== octets.length) throw new FormatError(`${octets.length - at} octets after the last record`)
  return frame
}

/** Header and sections as octets; no name is compressed (RFC 1035 §4.1.4 leaves that to the sender). */
export function writeFrame(
  id: number,
  flags: number,
  questions: readonly Uint8Array[],
  answers: readonly Uint8Array[],
  authorities: readonly Uint8Array[],
  additionals: readonly Uint8Array[],
): Buffer {
  const header = Buffer.alloc(HEADER_OCTETS)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(questions.length, 4)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authorities.length, 8)
  header.writeUInt16BE(additionals.length, ARCOUNT_OFFSET)
  return Buffer.concat([header, ...questions, ...answers, ...authorities, ...additionals])
}

export function writeQuestion(name: string, type: number, klass: number): Buffer {
  const fixed = Buffer.alloc(4)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(klass, 2)
  return Buffer.concat([writeName(name), fixed])
}

/** `data` is RDLENGTH and RDATA. */
export function writeRecord(
  name: string,
  type: number,
  klass: number,
  ttl: number,
  data: Uint8Array,
): Buffer {
  const fixed = Buffer.alloc(8)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(klass, 2)
  fixed.writeUInt32BE(ttl, 4)
  return Buffer.concat([writeName(name), fixed, data])
}

/**
 * The name at `start`, and the octet behind it there.
 *
 * @throws FormatError it is cut short, longer than 255 octets, or its pointers do not lead back to a name (RFC 1035 §4.1.4)
 */
export function readName(octets: Buffer, start: number): { readonly text: string; readonly end: number } {
  const malformed = (): FormatError => new FormatError(`malformed name at octet ${start}`)
  const labels: string[] = []
  let at = start
  /** Behind the first pointer. */
  let end: number | null = null
  // A pointer leads to before what it is in: there is an end to them.
  let before = start
  let wireOctets = 1
  for (;;) {
    const length = octets[at]
    if (length === undefined) throw malformed()
    if (length === 0) return { text: formatLabels(labels), end: end ?? at + 1 }
    if (length >= POINTER) {
      const low = octets[at + 1]
      if (low === undefined) throw malformed()
      end ??= at + 2
      at = (length - POINTER) * 256 + low
      // Nothing in the header is a name, though its octets may look like one.
      if (at >= before || at < HEADER_OCTETS) throw malformed()
      before = at
      continue
    }
    const next = at + 1 + length
    wireOctets += length + 1
    if (length > MAX_LABEL_OCTETS || next > octets.length || wireOctets > MAX_NAME_OCTETS) throw malformed()
    labels.push(octets.toString('latin1', at + 1, next))
    at = next
  }
}

/** Not compressed. @throws NameError */
export function writeName(name: string): Buffer {
  const labels = labelsOf(name).map(label => `${String.fromCharCode(label.length)}${label}`)
  return Buffer.from(`${labels.join('')}\0`, 'latin1')
}

/** The two highest bits of a length: an offset from the start of the message follows, RFC 1035 §4.1.4. */
const POINTER = 0xc0
