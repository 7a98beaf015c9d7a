/** The messages of a benchmark: octets made beforehand, in which only the id is written anew each time. */

/** Who sends: the domain every system signs for. */
export const SENDER_DOMAIN = 'example.test'
export const SENDER = `alice@${SENDER_DOMAIN}`
/** Every destination is a domain below this one. */
export const DESTINATIONS_DOMAIN = 'bench.test'
/** What stands before the id of a message, in its Message-ID: nothing else in a message looks like it. */
export const ID_MARK = '<bench.'
/** A run, then a message of it: fixed widths, so that an id is written over another one. */
const RUN_DIGITS = 4
const INDEX_DIGITS = 8
const LINE_OCTETS = 78
/** Up to this long a message is one piece of memory. */
const WHOLE_OCTETS = 256 * 1024

/** What one session writes: `head` is its own, `body` is shared by all sessions. They end with the final dot. */
export interface Outgoing {
  readonly head: Buffer
  readonly body: Buffer | null
  /** Where in `head` the id is. */
  readonly idOffset: number
}

export function destination(number: number): string {
  return `d${number}.${DESTINATIONS_DOMAIN}`
}

/** A message of `sizeOctets`, its final dot not counted. Not shorter than its header section. */
export function outgoing(sizeOctets: number): Outgoing {
  const header = headerSection()
  const length = Math.max(sizeOctets - header.length, 2)
  const body = bodyOf(length)
  const idOffset = header.indexOf(ID_MARK) + ID_MARK.length
  const end = Buffer.from('.\r\n')
  if (sizeOctets > WHOLE_OCTETS) return { head: header, body: Buffer.concat([body, end]), idOffset }
  return { head: Buffer.concat([header, body, end]), body: null, idOffset }
}

/** The same message for another session: what is written into it is not in the first. */
export function copyOf({ head, body, idOffset }: Outgoing): Outgoing {
  return { head: Buffer.from(head), body, idOffset }
}

export function writeId({ head, idOffset }: Outgoing, run: number, index: number): void {
  writeDigits(head, idOffset, RUN_DIGITS, run)
  writeDigits(head, idOffset + RUN_DIGITS + 1, INDEX_DIGITS, index)
}

/** The id that begins at `offset`, or null when the octets end before it does. */
export function readId(octets: Buffer, offset: number): { run: number; index: number } | null {
  const end = offset + RUN_DIGITS + 1 + INDEX_DIGITS
  if (end > octets.length) return null
  return {
    run: readDigits(octets, offset, RUN_DIGITS),
    index: readDigits(octets, offset + RUN_DIGITS + 1, INDEX_DIGITS),
  }
}

function headerSection(): Buffer {
  const id = `${'0'.repeat(RUN_DIGITS)}-${'0'.repeat(INDEX_DIGITS)}`
  return Buffer.from(
    [
      'Date: Mon, 05 Jan 2026 12:00:00 +0000',
      `From: Alice Example <${SENDER}>`,
      'To: undisclosed-recipients:;',
      'Subject: The figures of the third quarter, as they were asked for',
      `Message-ID: ${ID_MARK}${id}@${SENDER_DOMAIN}>`,
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=us-ascii',
      'Content-Transfer-Encoding: 7bit',
      '',
      '',
    ].join('\r\n'),
  )
}

/** Lines as base64 has them. None begins with a dot: what it costs to double it is not what is measured. */
function bodyOf(octets: number): Buffer {
  const body = Buffer.alloc(octets)
  let seed = 1
  for (let at = 0; at < octets; at++) {
    // A linear congruential generator: the same octets on every machine.
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    body[at] = ALPHABET.charCodeAt((seed >>> 16) & 63)
  }
  for (let at = LINE_OCTETS; at < octets; at += LINE_OCTETS) body.write('\r\n', at - 2, 'latin1')
  // A line end cannot be cut in two by the end of the body.
  if (octets % LINE_OCTETS === 1 && octets > 2) body.write('xxx', octets - 3, 'latin1')
  body.write('\r\n', octets - 2, 'latin1')
  return body
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

const ZERO = 48

function writeDigits(octets: Buffer, offset: number, digits: number, value: number): void {
  let rest = value
  for (let at = offset + digits - 1; at >= offset; at--) {
    octets[at] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

function readDigits(octets: Buffer, offset: number, digits: number): number {
  let value = 0
  for (let at = offset; at < offset + digits; at++) value = value * 10 + (octets[at] ?? ZERO) - ZERO
  return value
}
