/**
 * Signing a message as it streams by (RFC 6376 §5, RFC 8301, RFC 8463): with every key it is to have a signature of, in one
 * pass. Sign or defer, never pass: there are all signatures or none.
 */

import { createHash, type KeyObject, sign } from 'node:crypto'
import { endOfHeader, type Field, fieldsNamed, MAX_HEADER_OCTETS, parseHeader } from '../message/header.ts'
import { SmtpError } from '../smtp/error.ts'
import type { Mailbox } from '../smtp/path.ts'
import { BodyHash } from './body-hash.ts'
import type { Canonicalization } from './canonicalization.ts'
import {
  type Algorithm,
  canonicalizeFields,
  foldBase64,
  formatIdentity,
  formatUnsigned,
  headerHashInput,
  isWithin,
} from './signature.ts'

export interface SigningKey {
  /** d=: A-labels, lower case. */
  readonly signingDomain: string
  readonly selector: string
  readonly algorithm: Algorithm
  readonly privateKey: KeyObject
}

export interface SignerOptions {
  /** t= */
  readonly timestampSeconds: number
  /** x=: an absolute time, later than the message may stay queued. */
  readonly expirationSeconds?: number
  /** c=, of the header and of the body. Not given: relaxed/relaxed. */
  readonly canonicalization?: readonly [header: Canonicalization, body: Canonicalization]
  /** i=, of the domain of every key or below it. Not given: the domain alone answers for the message. */
  readonly identity?: Mailbox
  /** Instead of `SIGNED_FIELDS`; From is signed in any case. */
  readonly fields?: readonly string[]
  /** What `parseHeader` has made of this very message, where somebody has parsed it already. */
  readonly header?: readonly Field[]
}

/**
 * Fields listed once more than they occur, so that none can be put in afterwards (RFC 6376 §5.4): those a reader is
 * shown, and those that say how the body is to be read.
 */
export const OVERSIGNED_FIELDS: readonly string[] = [
  'From',
  'Reply-To',
  'To',
  'Cc',
  'Subject',
  'Date',
  'Message-ID',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
]

/**
 * Fields signed as often as they occur. Lists add some of these afterwards, and may. List-Unsubscribe must be covered (RFC
 * 8058 §4), so must CFBL-Address (RFC 9477 §3.1.1), and TLS-Report-Domain should (RFC 8460 §5.3). Return-Path, Received,
 * Comments and Keywords are not (RFC 6376 §5.4.1).
 */
export const SIGNED_FIELDS: readonly string[] = [
  ...OVERSIGNED_FIELDS,
  'Sender',
  'In-Reply-To',
  'References',
  'Content-ID',
  'Content-Description',
  'Content-Disposition',
  'Content-Language',
  'Resent-Date',
  'Resent-From',
  'Resent-Sender',
  'Resent-To',
  'Resent-Cc',
  'Resent-Message-ID',
  'List-Id',
  'List-Help',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
  'List-Subscribe',
  'List-Post',
  'List-Owner',
  'List-Archive',
  'Auto-Submitted',
  'Feedback-ID',
  'CFBL-Address',
  'CFBL-Feedback-ID',
  'TLS-Report-Domain',
  'TLS-Report-Submitter',
]

/** One per message: `update` with its octets as they come, then `finish`. */
export class MessageSigner {
  readonly #keys: readonly SigningKey[]
  readonly #options: SignerOptions
  readonly #body: BodyHash
  /** The header section in a buffer that doubles, and how much of it has come; then `#inBody`. */
  #header: Buffer = EMPTY
  #length = 0
  #inBody = false
  /** Octets of the header section, its empty line included, that are yet to come: where it has been parsed already. */
  #skip = 0

  /** @throws RangeError for options that would make a signature no verifier takes, or none at all */
  constructor(keys: readonly SigningKey[], options: SignerOptions) {
    const { fields, identity, timestampSeconds, expirationSeconds } = options
    if (keys.length === 0) throw new RangeError('no key to sign with')
    // RFC 6376 §3.5: the signature itself is always signed, and never by h=.
    if (fields?.some(name => !/^[!-9<-~]+$/.test(name) || name.toLowerCase() === 'dkim-signature'))
      throw new RangeError(`not fields to sign: ${fields.join(' ')}`)
    if (identity !== undefined && !keys.every(key => isWithin(identity.domain, key.signingDomain)))
      throw new RangeError(`i= of ${identity.domain} is not within d= (RFC 6376 section 3.5)`)
    if (expirationSeconds !== undefined && expirationSeconds <= timestampSeconds)
      throw new RangeError('x= is not later than t= (RFC 6376 section 3.5)')
    this.#keys = keys
    this.#options = options
    this.#body = new BodyHash(options.canonicalization?.[1] ?? 'relaxed')
    if (options.header === undefined) return
    this.#inBody = true
    this.#skip = options.header.reduce((sum, { octets }) => sum + octets.length, 2)
  }

  update(chunk: Uint8Array): void {
    if (this.#inBody) {
      const skipped = Math.min(this.#skip, chunk.length)
      this.#skip -= skipped
      this.#body.update(skipped === 0 ? chunk : chunk.subarray(skipped))
      return
    }
    const searched = this.#length
    // Past the limit nothing more is kept: finish rejects.
    if (searched > MAX_HEADER_OCTETS) return
    const part = chunk.subarray(0, MAX_HEADER_OCTETS + 1 - searched)
    // Mostly all of it comes at once, and the body with it, which is not to be copied.
    const whole = searched === 0 ? endOfHeader(part) : -1
    this.#append(whole < 0 ? part : part.subarray(0, whole))
    const end = whole < 0 ? endOfHeader(this.#header.subarray(0, this.#length), searched) : whole
    if (end < 0) return
    this.#inBody = true
    this.#length = end
    this.#body.update(chunk.subarray(end - searched))
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length
    if (this.#length === 0) this.#header = Buffer.from(chunk)
    else {
      if (length > this.#header.length) {
        const larger = Buffer.allocUnsafeSlow(length * 2)
        this.#header.copy(larger, 0, 0, this.#length)
        this.#header = larger
      }
      this.#header.set(chunk, this.#length)
    }
    this.#length = length
  }

  /**
   * The DKIM-Signature fields in the order of the keys, each with its CRLF, to be put before the message as it is. Rejects
   * when there is no good signature to be had of one of the keys: the message must then be refused or deferred, never
   * passed on.
   */
  async finish(): Promise<Uint8Array> {
    // Nothing of the message is held on to while its signatures are computed.
    return signAll(this.#prepare())
  }

  #prepare(): Prepared[] {
    const { fields, identity, timestampSeconds, expirationSeconds } = this.#options
    const canonicalization = this.#options.canonicalization ?? (['relaxed', 'relaxed'] as const)
    const wanted = fields === undefined ? USUALLY : wantedOf(fields)
    const selected = select(this.#checkedHeader(), wanted)
    const canonicalFields = canonicalizeFields(selected.fields, canonicalization[0])
    const common = {
      canonicalization,
      signedFields: selected.names,
      bodyHash: this.#body.finish(),
      timestampSeconds,
      identity: identity && formatIdentity(identity),
      expirationSeconds,
    }
    return this.#keys.map(key => {
      const { algorithm, signingDomain, selector } = key
      const unsigned = formatUnsigned({ algorithm, signingDomain, selector, ...common })
      const input = headerHashInput(canonicalFields, unsigned, canonicalization[0])
      return { key, unsigned, input }
    })
  }

  #checkedHeader(): readonly Field[] {
    // A message may be a header section alone (RFC 5322 §3.5).
    const section = this.#header.subarray(0, this.#length)
    if (section.length > MAX_HEADER_OCTETS)
      throw new SmtpError(554, '5.6.0', `The header section is longer than ${MAX_HEADER_OCTETS} octets`)
    const header = this.#options.header ?? parseHeader(section)
    const from = fieldsNamed(header, 'From').length
    // RFC 6376 §5.4: From must be signed. RFC 5322 §3.6: there is exactly one.
    if (from !== 1)
      throw new SmtpError(554, '5.6.0', `The message has ${from === 0 ? 'no' : 'more than one'} From field`)
    return header
  }
}

const EMPTY = Buffer.alloc(0)

interface ToSign {
  readonly name: string
  /** Whether it is listed once more than it is there. */
  readonly beyond: boolean
}

const OVERSIGNED = new Set(OVERSIGNED_FIELDS.map(name => name.toLowerCase()))

interface Wanted {
  readonly list: readonly ToSign[]
  /** Of a name as it is usually written, or in lower case: where it stands in `list`. */
  readonly places: ReadonlyMap<string, number>
}

/** From and `fields`, each once. */
function wantedOf(fields: readonly string[]): Wanted {
  const list: ToSign[] = []
  const places = new Map<string, number>()
  for (const name of ['From', ...fields]) {
    const lower = name.toLowerCase()
    if (places.has(lower)) continue
    places.set(lower, list.length).set(name, list.length)
    list.push({ name, beyond: OVERSIGNED.has(lower) })
  }
  return { list, places }
}

const USUALLY = wantedOf(SIGNED_FIELDS)

interface Selection {
  /** The names of h=: as often as they occur, and those to be oversigned once more. */
  readonly names: readonly string[]
  /** What they stand for: of one name the last field first, and nothing once there is none left (RFC 6376 §5.4.2). */
  readonly fields: readonly Field[]
}

function select(header: readonly Field[], { list, places }: Wanted): Selection {
  const found = new Array<Field[] | undefined>(list.length).fill(undefined)
  for (const field of header) {
    const place = places.get(field.name) ?? places.get(field.name.toLowerCase())
    if (place === undefined) continue
    const same = found[place]
    if (same) same.push(field)
    else found[place] = [field]
  }
  const names: string[] = []
  const fields: Field[] = []
  let place = 0
  for (const { name, beyond } of list) {
    const same = found[place++]
    if (same)
      for (const field of same.reverse()) {
        names.push(name)
        fields.push(field)
      }
    if (beyond) names.push(name)
  }
  return { names, fields }
}

/** A signature that is yet to be computed. */
interface Prepared {
  readonly key: SigningKey
  readonly unsigned: string
  readonly input: Buffer
}

const KEY_TYPES: Readonly<Record<Algorithm, string>> = { 'rsa-sha256': 'rsa', 'ed25519-sha256': 'ed25519' }

/**
 * On the thread pool: a signature takes as long as 30 messages take to be read. One that fails fails them all. The callback
 * keeps `unsigned` and nothing else of the message: hundreds may be waiting for a core.
 */
function signAll(prepared: readonly Prepared[]): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const fields: string[] = []
  let left = prepared.length
  for (const [i, { key, unsigned, input }] of prepared.entries()) {
    startSigning(key, input, (error, signature) => {
      if (error) return reject(error)
      fields[i] = `${unsigned}${foldBase64(signature.toString('base64'))}\r\n`
      if (--left === 0) resolve(Buffer.from(fields.join(''), 'latin1'))
    })
  }
  return promise
}

function startSigning(
  { algorithm, privateKey }: SigningKey,
  input: Buffer,
  done: (error: Error | null, signature: Buffer) => void,
): void {
  // Node would sign with what the key is, whatever a= says of it.
  if (privateKey.asymmetricKeyType !== KEY_TYPES[algorithm])
    throw new TypeError(`${algorithm} with a key for ${privateKey.asymmetricKeyType ?? privateKey.type}`)
  // PKCS #1 v1.5 is Node's default for RSA; to say so takes 7 µs (measured).
  if (algorithm === 'rsa-sha256') sign('sha256', input, privateKey, done)
  // RFC 8463 §3: PureEdDSA of the hash.
  else sign(null, createHash('sha256').update(input).digest(), privateKey, done)
}
