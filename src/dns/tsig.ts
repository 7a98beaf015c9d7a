/**
 * TSIG, RFC 8945: a message signed with a secret that both sides know. MACs are never truncated (§5.2.2.1
 * lets a policy say so), and only the SHA-2 algorithms are spoken (§6: the others are not recommended or must
 * not be used).
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { TYPE_TSIG } from './message.ts'
import { canonicalName, formatLabels, sameName } from './name.ts'
import type { TsigKey } from './tsig-key.ts'
import { ARCOUNT_OFFSET, FormatError, readFrame, writeName, writeRecord } from './wire.ts'

export {
  formatTsigKey,
  parseTsigKey,
  TSIG_ALGORITHMS,
  type TsigAlgorithm,
  type TsigKey,
  TsigKeyError,
} from './tsig-key.ts'

/** RFC 8945 §3; zero is no error. */
export const TSIG_ERROR = { BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const
export type TsigError = keyof typeof TSIG_ERROR

/** RFC 8945 §10: recommended. */
export const FUDGE_SECONDS = 300

/** The TSIG record of a message, RFC 8945 §4.2. */
export interface Tsig {
  readonly name: string
  readonly algorithm: string
  readonly timeSeconds: number
  readonly fudgeSeconds: number
  readonly mac: Uint8Array
  readonly originalId: number
  readonly error: number
  readonly other: Uint8Array
}

export interface SignOptions {
  readonly timeSeconds: number
  readonly fudgeSeconds?: number
  /** Of the request this message answers, RFC 8945 §4.3.1. */
  readonly requestMac?: Uint8Array
  readonly error?: number
  readonly other?: Uint8Array
}

/** Appends a TSIG record to the message, RFC 8945 §5.1; `mac` is what the answer will be verified with. */
export function signMessage(
  message: Buffer,
  key: TsigKey,
  options: SignOptions,
): { octets: Buffer; mac: Buffer } {
  const unsigned: Tsig = {
    name: key.name,
    algorithm: key.algorithm,
    timeSeconds: options.timeSeconds,
    fudgeSeconds: options.fudgeSeconds ?? FUDGE_SECONDS,
    mac: Buffer.alloc(0),
    originalId: message.readUInt16BE(0),
    error: options.error ?? 0,
    other: options.other ?? Buffer.alloc(0),
  }
  const mac = macOf(message, key, unsigned, options.requestMac)
  return { octets: appendTsig(message, { ...unsigned, mac }), mac }
}

/** The unsigned TSIG that says BADKEY or BADSIG, RFC 8945 §5.3.2. */
export function appendTsigError(message: Buffer, request: Tsig, error: TsigError): Buffer {
  return appendTsig(message, {
    ...request,
    mac: Buffer.alloc(0),
    originalId: message.readUInt16BE(0),
    error: TSIG_ERROR[error],
    other: Buffer.alloc(0),
  })
}

/**
 * Takes the TSIG record off a message: what is left is what was signed (RFC 8945 §4.3.2). `null`: there is
 * none.
 *
 * @throws FormatError the message or its TSIG is malformed, is not the last record, or is there twice (§5.2)
 */
export function splitTsig(octets: Buffer): { message: Buffer; tsig: Tsig } | null {
  const [answers, authorities, additionals] = readFrame(octets).sections
  const all = [...answers, ...authorities, ...additionals]
  const found = all.filter(record => record.type === TYPE_TSIG)
  const record = found[0]
  if (record === undefined) return null
  if (found.length > 1 || record !== additionals.at(-1)) throw new FormatError('TSIG is not the last record')
  // RFC 8945 §4.2: class ANY, TTL 0.
  if (record.class !== 255 || record.ttl !== 0) throw new FormatError('TSIG is not of class ANY with TTL 0')
  const tsig = decodeTsig(record.name, octets, record.dataStart + 2, record.end)
  if (!isWritable(tsig.name) || !isWritable(tsig.algorithm))
    throw new FormatError('TSIG has a malformed name')
  const message = Buffer.from(octets.subarray(0, record.start))
  message.writeUInt16BE(tsig.originalId, 0)
  message.writeUInt16BE(additionals.length - 1, ARCOUNT_OFFSET)
  return { message, tsig }
}

/** The verdict on a TSIG, in the order of checks of RFC 8945 §5.2. */
export type TsigVerdict = 'ok' | TsigError

/**
 * @param message without its TSIG, as `splitTsig` gives it
 * @throws FormatError the MAC is longer than the algorithm's, or shorter than §5.2.2.1 allows anybody
 */
export function verifyTsig(
  message: Buffer,
  tsig: Tsig,
  key: TsigKey | undefined,
  options: { readonly timeSeconds: number; readonly requestMac?: Uint8Array },
): TsigVerdict {
  if (key === undefined) return 'BADKEY'
  return verifyMac(tsig, key, macOf(message, key, tsig, options.requestMac), options.timeSeconds)
}

/**
 * The checks of RFC 8945 §5.2 in their order, once the MAC is known that there should be.
 *
 * @throws FormatError the MAC is longer than the algorithm's, or shorter than §5.2.2.1 allows anybody
 */
export function verifyMac(tsig: Tsig, key: TsigKey, expected: Buffer, timeSeconds: number): TsigVerdict {
  if (!sameName(tsig.name, key.name) || !sameName(tsig.algorithm, key.algorithm)) return 'BADKEY'
  const { length } = tsig.mac
  if (length > expected.length || (length > 0 && length < Math.max(10, expected.length / 2))) {
    throw new FormatError(`TSIG MAC of ${length} octets`)
  }
  if (length === 0 || !timingSafeEqual(expected.subarray(0, length), tsig.mac)) return 'BADSIG'
  // RFC 8945 §5.2.3.
  if (Math.abs(timeSeconds - tsig.timeSeconds) > tsig.fudgeSeconds) return 'BADTIME'
  return length < expected.length ? 'BADTRUNC' : 'ok'
}

/** The 48-bit time that a BADTIME answer carries in Other Data, RFC 8945 §5.2.3; `null`: it is not there. */
export function serverTime(tsig: Tsig): number | null {
  return tsig.other.length === 6 ? Buffer.from(tsig.other).readUIntBE(0, 6) : null
}

/** The inverse of `serverTime`. */
export function otherTime(timeSeconds: number): Buffer {
  const other = Buffer.alloc(6)
  other.writeUIntBE(timeSeconds, 0, 6)
  return other
}

export function tsigErrorName(error: number): TsigError | null {
  return (Object.keys(TSIG_ERROR) as TsigError[]).find(name => TSIG_ERROR[name] === error) ?? null
}

/**
 * RFC 8945 §4.3: over the MAC of the request where it is an answer, the message, and the variables of its TSIG
 * (§4.3.3). Without a TSIG: over the octets as they are.
 */
export function macOf(message: Buffer, key: TsigKey, tsig?: Tsig, requestMac?: Uint8Array): Buffer {
  const hmac = createHmac(key.algorithm.slice('hmac-'.length), key.secret)
  if (requestMac !== undefined) hmac.update(withLength(requestMac))
  hmac.update(message)
  if (tsig === undefined) return hmac.digest()
  // §4.3.3: names in lower case, class ANY, TTL 0.
  hmac.update(writeName(tsig.name.toLowerCase()))
  hmac.update(Buffer.from([0, 255, 0, 0, 0, 0]))
  hmac.update(writeName(tsig.algorithm.toLowerCase()))
  hmac.update(timers(tsig))
  hmac.update(Buffer.from([tsig.error >> 8, tsig.error & 0xff]))
  hmac.update(withLength(tsig.other))
  return hmac.digest()
}

function appendTsig(message: Buffer, tsig: Tsig): Buffer {
  const id = Buffer.alloc(4)
  id.writeUInt16BE(tsig.originalId, 0)
  id.writeUInt16BE(tsig.error, 2)
  const data = Buffer.concat([
    writeName(tsig.algorithm),
    timers(tsig),
    withLength(tsig.mac),
    id,
    withLength(tsig.other),
  ])
  const octets = Buffer.concat([message, writeRecord(tsig.name, TYPE_TSIG, 255, 0, withLength(data))])
  octets.writeUInt16BE(message.readUInt16BE(ARCOUNT_OFFSET) + 1, ARCOUNT_OFFSET)
  return octets
}

// RFC 8945 §4.2.
function decodeTsig(name: string, octets: Buffer, start: number, end: number): Tsig {
  // A name is never compressed here (§4.2), so the RDATA can be read alone: no pointer leads out of it.
  const data = octets.subarray(start, end)
  let at = 0
  const need = (count: number): number => {
    if (at + count > data.length) throw new FormatError('TSIG cut short')
    at += count
    return at - count
  }
  const labels: string[] = []
  for (;;) {
    const length = data.readUInt8(need(1))
    if (length === 0) break
    if (length > 63) throw new FormatError('TSIG algorithm name is compressed')
    labels.push(data.toString('latin1', need(length), at))
  }
  const timeSeconds = data.readUIntBE(need(6), 6)
  const fudgeSeconds = data.readUInt16BE(need(2))
  const mac = data.subarray(need(data.readUInt16BE(need(2))), at)
  const originalId = data.readUInt16BE(need(2))
  const error = data.readUInt16BE(need(2))
  const other = data.subarray(need(data.readUInt16BE(need(2))), at)
  if (at !== data.length) throw new FormatError('TSIG has octets left over')
  return {
    name,
    algorithm: formatLabels(labels),
    timeSeconds,
    fudgeSeconds,
    mac,
    originalId,
    error,
    other,
  }
}

/** A name over 255 octets, which only an algorithm can have here: it is nobody's, and could not be answered. */
function isWritable(name: string): boolean {
  try {
    canonicalName(name)
    return true
  } catch {
    return false
  }
}

/** Time and fudge, RFC 8945 §4.3.3. */
export function timers(tsig: Tsig): Buffer {
  const octets = Buffer.alloc(8)
  octets.writeUIntBE(tsig.timeSeconds, 0, 6)
  octets.writeUInt16BE(tsig.fudgeSeconds, 6)
  return octets
}

/** Two octets of length before them. */
export function withLength(octets: Uint8Array): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(octets.length)
  return Buffer.concat([length, octets])
}
