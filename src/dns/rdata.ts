/**
 * RDATA of the types ptt reads or writes, over dns-packet's codecs. Other types stay octets, named as RFC
 * 3597 §5 names them, so that a record nobody asked for cannot make a whole answer unreadable.
 */

import dnsPacket from 'dns-packet'
import { canonicalName, NameError } from './name.ts'

declare module 'dns-packet' {
  /** Offsets are those of RDLENGTH; `bytes` is what the last call read or wrote, RDLENGTH included. */
  interface RdataCodec {
    encode: { (data: unknown): Buffer; bytes: number }
    decode: { (octets: Buffer, offset: number): unknown; bytes: number }
  }
  interface NameCodec {
    encode: { (name: string): Buffer; bytes: number }
    decode: { (octets: Buffer, offset: number): string; bytes: number }
  }
  export function record(type: string): RdataCodec
  export const name: NameCodec
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

/** Type → its data. TXT (RFC 1035 §3.3.14) is one or more strings of at most 255 octets. */
export interface KnownData {
  A: string
  AAAA: string
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

/**
 * RDLENGTH and RDATA.
 *
 * @throws NameError, RangeError
 */
export function encodeData(type: AnyType, data: unknown): Buffer {
  if (!isKnownType(type)) return withLength(data as Uint8Array)
  const codec = dnsPacket.record(type)
  const octets = codec.encode(forCodec(type, data))
  // dns-packet reads a dot within a label as `\\.` and writes it as nothing that can be read again: shorter than it counted.
  if (codec.encode.bytes !== octets.length)
    throw new NameError(`the data of ${type} has a name that cannot be written`)
  return octets
}

/**
 * The RDATA at `start` (where RDLENGTH is) up to `end`. `undefined`: it does not fit its type, or does not
 * end where RDLENGTH says.
 */
export function decodeData(type: AnyType, octets: Buffer, start: number, end: number): unknown {
  if (!isKnownType(type)) return octets.subarray(start + 2, end)
  const codec = dnsPacket.record(type)
  try {
    const data = codec.decode(octets.subarray(0, end), start)
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

/**
 * dns-packet wants Buffers and replaces elements of the array it is given; it writes a string over 255 octets
 * or a label over 63 with a wrong length, so both are refused here.
 */
function forCodec(type: RecordType, data: unknown): unknown {
  switch (type) {
    case 'TXT':
      return (data as KnownData['TXT']).map(string => {
        if (string.length > 255) throw new RangeError('a TXT string is over 255 octets')
        return Buffer.from(string)
      })
    case 'TLSA': {
      const tlsa = data as Tlsa
      return { ...tlsa, certificate: Buffer.from(tlsa.certificate) }
    }
    case 'CNAME':
    case 'NS':
    case 'PTR':
      canonicalName(data as string)
      return data
    case 'MX':
      canonicalName((data as Mx).exchange)
      return data
    case 'SRV':
      canonicalName((data as Srv).target)
      return data
    case 'SOA':
      canonicalName((data as Soa).mname)
      canonicalName((data as Soa).rname)
      return data
    default:
      return data
  }
}

function withLength(data: Uint8Array): Buffer {
  const octets = Buffer.alloc(2 + data.length)
  octets.writeUInt16BE(data.length)
  octets.set(data, 2)
  return octets
}
