/**
 * RDATA of the types ptt reads or writes: that with names here, addresses, TXT and TLSA by dns-packet's codecs. Other types
 * stay octets, named as RFC 3597 §5 names them, so that a record nobody asked for cannot make a whole answer unreadable.
 */

import dnsPacket from 'dns-packet'
import { NameError } from './name.ts'
import { readName, writeName } from './wire.ts'

declare module 'dns-packet' {
  /** Offsets are those of RDLENGTH; `bytes` is what the last call read or wrote, RDLENGTH included. */
  interface RdataCodec {
    encode: { (data: unknown): Buffer; bytes: number }
    decode: { (octets: Buffer, offset: number): unknown; bytes: number }
  }
  export function record(type: string): RdataCodec
}

/** RFC 1035 §3.3.13. */
export interface Soa {
  readonly mname: string
  readonly rname: string
  readonly serial: number
  readonly refresh: number
  readonly retry: number
  readonly expire: number
  readonly minimum: number
}

/** RFC 1035 §3.3.9. */
export interface Mx {
  readonly preference: number
  readonly exchange: string
}

/** RFC 2782. */
export interface Srv {
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

/** RFC 6698 §2.1. */
export interface Tlsa {
  readonly usage: number
  readonly selector: number
  readonly matchingType: number
  readonly certificate: Uint8Array
}

/** RFC 8659 §4.1: octets as characters, one each. */
export interface Caa {
  /** 128: who does not know the tag must not issue. */
  readonly flags: number
  readonly tag: string
  readonly value: string
}

/** Type → its data. TXT (RFC 1035 §3.3.14) is one or more strings of at most 255 octets. */
export interface KnownData {
  A: string
  AAAA: string
  CAA: Caa
  CNAME: string
  MX: Mx
  NS: string
  PTR: string
  SOA: Soa
  SRV: Srv
  TLSA: Tlsa
  TXT: readonly Uint8Array[]
}
export type RecordType = keyof KnownData

/** Any other type, as `TYPE46`; ANY, the meta-type of RFC 2136, is `TYPE255`. */
export type UnknownType = `TYPE${number}`
export type AnyType = RecordType | UnknownType

const TYPES: Readonly<Record<RecordType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  TLSA: 52,
  CAA: 257,
}
const NAMES = new Map(Object.entries(TYPES).map(([name, number]) => [number, name as RecordType]))

export function isKnownType(type: string): type is RecordType {
  return Object.hasOwn(TYPES, type)
}

export function typeNumber(type: AnyType): number {
  return isKnownType(type) ? TYPES[type] : Number(type.slice(4))
}

export function typeName(number: number): AnyType {
  return NAMES.get(number) ?? `TYPE${number}`
}

/** Data whose names may be compressed: a pointer in it means something only where it was read. */
interface NamedCodec {
  encode(data: unknown): Buffer
  /** RDATA is `octets[start, octets.length)`. @throws FormatError, RangeError */
  decode(octets: Buffer, start: number): { readonly data: unknown; readonly end: number }
}

const NAME: NamedCodec = {
  encode: data => writeName(data as string),
  decode(octets, start) {
    const { text, end } = readName(octets, start)
    return { data: text, end }
  },
}

/** RFC 1035 §3.3.9. */
const MX: NamedCodec = {
  encode(data) {
    const { preference, exchange } = data as Mx
    return Buffer.concat([numbers16(preference), writeName(exchange)])
  },
  decode(octets, start) {
    const { text: exchange, end } = readName(octets, start + 2)
    return { data: { preference: octets.readUInt16BE(start), exchange }, end }
  },
}

/** RFC 2782. */
const SRV: NamedCodec = {
  encode(data) {
    const { priority, weight, port, target } = data as Srv
    return Buffer.concat([numbers16(priority, weight, port), writeName(target)])
  },
  decode(octets, start) {
    const { text: target, end } = readName(octets, start + 6)
    const [priority, weight, port] = [0, 2, 4].map(at => octets.readUInt16BE(start + at))
    return { data: { priority, weight, port, target }, end }
  },
}

/** RFC 1035 §3.3.13. */
const SOA: NamedCodec = {
  encode(data) {
    const { mname, rname, serial, refresh, retry, expire, minimum } = data as Soa
    const numbers = Buffer.alloc(20)
    for (const [at, number] of [serial, refresh, retry, expire, minimum].entries())
      numbers.writeUInt32BE(number, 4 * at)
    return Buffer.concat([writeName(mname), writeName(rname), numbers])
  },
  decode(octets, start) {
    const { text: mname, end: behind } = readName(octets, start)
    const { text: rname, end: at } = readName(octets, behind)
    const [serial, refresh, retry, expire, minimum] = [0, 4, 8, 12, 16].map(each =>
      octets.readUInt32BE(at + each),
    )
    return { data: { mname, rname, serial, refresh, retry, expire, minimum }, end: at + 20 }
  },
}

/** RFC 8659 §4.1. Without names, so that it may stay octets where it does not fit. */
const CAA: NamedCodec = {
  encode(data) {
    const { flags, tag, value } = data as Caa
    if (!/^[a-z0-9]{1,255}$/i.test(tag)) throw new RangeError(`'${tag}' is no tag of a CAA record`)
    return Buffer.concat([Buffer.from([flags, tag.length]), Buffer.from(tag + value, 'latin1')])
  },
  decode(octets, start) {
    const behind = start + 2 + octets.readUInt8(start + 1)
    const tag = octets.toString('latin1', start + 2, behind)
    if (behind > octets.length || !/^[a-z0-9]+$/i.test(tag)) throw new RangeError('not a CAA record')
    const value = octets.toString('latin1', behind)
    return { data: { flags: octets.readUInt8(start), tag, value }, end: octets.length }
  },
}

const NAMED: ReadonlyMap<AnyType, NamedCodec> = new Map([
  ['CNAME', NAME],
  ['MX', MX],
  ['NS', NAME],
  ['PTR', NAME],
  ['SOA', SOA],
  ['SRV', SRV],
] as const)

/**
 * RDLENGTH and RDATA.
 *
 * @throws NameError, RangeError
 */
export function encodeData(type: AnyType, data: unknown): Buffer {
  const named = NAMED.get(type)
  if (named !== undefined) return withLength(named.encode(data))
  if (type === 'CAA') return withLength(CAA.encode(data))
  if (isKnownType(type)) return dnsPacket.record(type).encode(forCodec(type, data))
  const known = NAMES.get(typeNumber(type))
  if (known !== undefined && NAMED.has(known))
    throw new NameError(`the data of ${known} has a name that could not be read and cannot be written`)
  return withLength(data as Uint8Array)
}

/**
 * The RDATA at `start` (where RDLENGTH is) up to `end`. `undefined`: it does not fit its type, or does not
 * end where RDLENGTH says.
 */
export function decodeData(type: AnyType, octets: Buffer, start: number, end: number): unknown {
  if (!isKnownType(type)) return octets.subarray(start + 2, end)
  const whole = octets.subarray(0, end)
  try {
    const own = type === 'CAA' ? CAA : NAMED.get(type)
    if (own !== undefined) {
      const { data, end: reached } = own.decode(whole, start + 2)
      return reached === end ? data : undefined
    }
    const codec = dnsPacket.record(type)
    const data = codec.decode(whole, start)
    return codec.decode.bytes === end - start ? data : undefined
  } catch {
    return undefined
  }
}

/** RFC 1035 §3.3: a character-string holds at most 255 octets, so longer text is cut into several. */
export function txtStrings(text: string): Uint8Array[] {
  const octets = Buffer.from(text)
  const strings: Uint8Array[] = []
  for (let at = 0; at < octets.length; at += 255) strings.push(octets.subarray(at, at + 255))
  return strings.length === 0 ? [octets] : strings
}

/** The strings of one record joined without anything between them, as RFC 6376 §3.6.2.2 reads them. */
export function txtText(strings: readonly Uint8Array[]): string {
  return Buffer.concat(strings).toString()
}

/** dns-packet wants Buffers and replaces elements of the array it is given; it writes a string over 255 octets with a wrong length. */
function forCodec(type: RecordType, data: unknown): unknown {
  if (type === 'TXT') {
    return (data as KnownData['TXT']).map(string => {
      if (string.length > 255) throw new RangeError('a TXT string is over 255 octets')
      return Buffer.from(string)
    })
  }
  if (type !== 'TLSA') return data
  const tlsa = data as Tlsa
  return { ...tlsa, certificate: Buffer.from(tlsa.certificate) }
}

function numbers16(...numbers: readonly number[]): Buffer {
  const octets = Buffer.alloc(2 * numbers.length)
  for (const [at, number] of numbers.entries()) octets.writeUInt16BE(number, 2 * at)
  return octets
}

function withLength(data: Uint8Array): Buffer {
  const octets = Buffer.alloc(2 + data.length)
  octets.writeUInt16BE(data.length)
  octets.set(data, 2)
  return octets
}
