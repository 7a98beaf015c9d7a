/** DNS messages, RFC 1035 §4, with EDNS(0), RFC 6891: values to octets and back. */

import {
  type AnyType,
  decodeData,
  encodeData,
  type KnownData,
  typeName,
  typeNumber,
  type UnknownType,
} from './rdata.ts'
import { FLAG, type FrameRecord, readFrame, writeFrame, writeQuestion, writeRecord } from './wire.ts'

/** RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 8945 §3, RFC 6891 §9. 16 is BADSIG inside TSIG and BADVERS outside. */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADVERS: 16,
} as const
export type KnownRcode = keyof typeof RCODE
export type Rcode = KnownRcode | `RCODE${number}`

/** RFC 1035 §4.1.1, RFC 2136 §1.3. */
export const OPCODE = { QUERY: 0, NOTIFY: 4, UPDATE: 5 } as const

/** NONE and ANY are RFC 2136's. */
export type RecordClass = 'IN' | 'NONE' | 'ANY' | `CLASS${number}`
const CLASSES: Readonly<Record<string, number>> = { IN: 1, NONE: 254, ANY: 255 }

export const TYPE_OPT = 41
export const TYPE_TSIG = 250
export const TYPE_ANY = 'TYPE255' satisfies UnknownType

export interface Question {
  readonly name: string
  readonly type: AnyType
  readonly class: RecordClass
}

interface Owned<T, D> {
  readonly name: string
  readonly type: T
  readonly class: RecordClass
  readonly ttlSeconds: number
  /** `null`: RDATA is empty, as UPDATE means something by it. */
  readonly data: D | null
}
/**
 * RDATA that does not fit its known type is kept as octets under the number: an A of three octets is a
 * `TYPE1`.
 */
export type ResourceRecord =
  | { [T in keyof KnownData]: Owned<T, KnownData[T]> }[keyof KnownData]
  | Owned<UnknownType, Uint8Array>

/** RFC 6891 §6.1.2. */
export interface Edns {
  readonly udpPayloadOctets: number
  /** DO, RFC 3225. */
  readonly dnssecOk: boolean
  readonly version: number
}

export interface Message {
  readonly id: number
  readonly response: boolean
  readonly opcode: number
  /** With the high bits from the OPT record, RFC 6891 §6.1.3. */
  readonly rcode: Rcode
  readonly authoritative: boolean
  readonly truncated: boolean
  readonly recursionDesired: boolean
  readonly recursionAvailable: boolean
  readonly authenticData: boolean
  readonly checkingDisabled: boolean
  readonly questions: readonly Question[]
  /** Prerequisites in an UPDATE. */
  readonly answers: readonly ResourceRecord[]
  /** Updates in an UPDATE. */
  readonly authorities: readonly ResourceRecord[]
  /** Without the OPT record. */
  readonly additionals: readonly ResourceRecord[]
  readonly edns: Edns | null
}

/** What is left out is zero, false or empty. */
export type MessageParts = Partial<Message>

export function encodeMessage(message: MessageParts): Buffer {
  const rcode = rcodeNumber(message.rcode ?? 'NOERROR')
  const additionals = (message.additionals ?? []).map(encodeRecord)
  if (message.edns) additionals.push(encodeOpt(message.edns, rcode))
  const flags =
    (message.response ? FLAG.response : 0) |
    ((message.opcode ?? OPCODE.QUERY) << 11) |
    (message.authoritative ? FLAG.authoritative : 0) |
    (message.truncated ? FLAG.truncated : 0) |
    (message.recursionDesired ? FLAG.recursionDesired : 0) |
    (message.recursionAvailable ? FLAG.recursionAvailable : 0) |
    (message.authenticData ? FLAG.authenticData : 0) |
    (message.checkingDisabled ? FLAG.checkingDisabled : 0) |
    (rcode & 0xf)
  return writeFrame(
    message.id ?? 0,
    flags,
    (message.questions ?? []).map(q => writeQuestion(q.name, typeNumber(q.type), classNumber(q.class))),
    (message.answers ?? []).map(encodeRecord),
    (message.authorities ?? []).map(encodeRecord),
    additionals,
  )
}

/** @throws FormatError */
export function decodeMessage(octets: Buffer): Message {
  const frame = readFrame(octets)
  const { flags } = frame
  const [answers, authorities, additionals] = frame.sections
  const opt = additionals.find(record => record.type === TYPE_OPT)
  const decode = (record: FrameRecord): ResourceRecord => decodeRecord(octets, record)
  return {
    id: frame.id,
    response: (flags & FLAG.response) !== 0,
    opcode: (flags >> 11) & 0xf,
    rcode: rcodeName((flags & 0xf) | (opt === undefined ? 0 : (opt.ttl >>> 24) << 4)),
    authoritative: (flags & FLAG.authoritative) !== 0,
    truncated: (flags & FLAG.truncated) !== 0,
    recursionDesired: (flags & FLAG.recursionDesired) !== 0,
    recursionAvailable: (flags & FLAG.recursionAvailable) !== 0,
    authenticData: (flags & FLAG.authenticData) !== 0,
    checkingDisabled: (flags & FLAG.checkingDisabled) !== 0,
    questions: frame.questions.map(q => ({
      name: q.name,
      type: typeName(q.type),
      class: className(q.class),
    })),
    answers: answers.map(decode),
    authorities: authorities.map(decode),
    additionals: additionals.filter(record => record.type !== TYPE_OPT).map(decode),
    edns: opt === undefined ? null : decodeOpt(opt),
  }
}

export function encodeRecord(record: ResourceRecord): Buffer {
  const data = record.data === null ? Buffer.alloc(2) : encodeData(record.type, record.data)
  return writeRecord(record.name, typeNumber(record.type), classNumber(record.class), record.ttlSeconds, data)
}

/**
 * The data as octets, names in lower case and not compressed: equal octets are equal data (RFC 4034 §6.2).
 */
export function canonicalData(record: ResourceRecord): Buffer {
  if (record.data === null) return Buffer.alloc(2)
  switch (record.type) {
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return encodeData(record.type, record.data.toLowerCase())
    case 'MX':
      return encodeData('MX', { ...record.data, exchange: record.data.exchange.toLowerCase() })
    case 'SRV':
      return encodeData('SRV', { ...record.data, target: record.data.target.toLowerCase() })
    case 'SOA': {
      const { mname, rname } = record.data
      return encodeData('SOA', { ...record.data, mname: mname.toLowerCase(), rname: rname.toLowerCase() })
    }
    default:
      return encodeData(record.type, record.data)
  }
}

export function rcodeName(number: number): Rcode {
  const known = (Object.keys(RCODE) as KnownRcode[]).find(name => RCODE[name] === number)
  return known ?? `RCODE${number}`
}

export function rcodeNumber(rcode: Rcode): number {
  return (RCODE as Readonly<Record<string, number>>)[rcode] ?? Number(rcode.slice(5))
}

function decodeRecord(octets: Buffer, record: FrameRecord): ResourceRecord {
  const type = typeName(record.type)
  const empty = record.end === record.dataStart + 2
  const data = empty ? null : decodeData(type, octets, record.dataStart, record.end)
  const owned = {
    name: record.name,
    class: className(record.class),
    // RFC 2181 §8: a TTL with the most significant bit set is zero.
    ttlSeconds: record.ttl > 0x7fffffff ? 0 : record.ttl,
  }
  if (data === undefined) {
    return { ...owned, type: `TYPE${record.type}`, data: octets.subarray(record.dataStart + 2, record.end) }
  }
  return { ...owned, type, data } as ResourceRecord
}

function encodeOpt(edns: Edns, rcode: number): Buffer {
  const ttl = ((rcode >> 4) * 2 ** 24 + (edns.version << 16)) | (edns.dnssecOk ? 1 << 15 : 0)
  return writeRecord('.', TYPE_OPT, edns.udpPayloadOctets, ttl >>> 0, Buffer.alloc(2))
}

function decodeOpt(opt: FrameRecord): Edns {
  return {
    // RFC 6891 §6.2.3: a value below 512 means 512.
    udpPayloadOctets: Math.max(opt.class, 512),
    dnssecOk: (opt.ttl & 0x8000) !== 0,
    version: (opt.ttl >>> 16) & 0xff,
  }
}

function classNumber(klass: RecordClass): number {
  return CLASSES[klass] ?? Number(klass.slice(5))
}

function className(number: number): RecordClass {
  if (number === 1) return 'IN'
  if (number === 254) return 'NONE'
  return number === 255 ? 'ANY' : `CLASS${number}`
}
