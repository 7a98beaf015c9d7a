/** Content that was put: how it begins, what is in memory as what is to be read, and the other way round. */

import { type StoredContent, WHOLE_OCTETS } from './queue.ts'

/** Of what is large so much is read first: mostly it has the header section. */
const START_OCTETS = 64 * 1024
/** Whatever header section a message may have is within them, with what is put before it. */
const MOST_OCTETS = 512 * 1024
const END_OF_HEADER = Buffer.from('\r\n\r\n')

/** How many octets the start has, of which `start` are known. When it is as long as that it is long enough. */
export function startOctets(sizeOctets: number, start: Uint8Array = NOTHING): number {
  if (sizeOctets <= WHOLE_OCTETS) return sizeOctets
  const known = Buffer.from(start.buffer, start.byteOffset, start.byteLength)
  if (start.length < START_OCTETS || known.includes(END_OF_HEADER))
    return Math.max(START_OCTETS, start.length)
  return Math.min(sizeOctets, MOST_OCTETS)
}

export function inMemory(octets: Uint8Array): StoredContent {
  const first = octets.subarray(0, startOctets(octets.length))
  return {
    sizeOctets: octets.length,
    start: octets.subarray(0, startOctets(octets.length, first)),
    async read(at, target) {
      target.set(octets.subarray(at, at + target.length))
    },
    async close() {},
  }
}

/** All of it. @throws QueueError `io` */
export async function wholeOf({ sizeOctets, start, read }: StoredContent): Promise<Uint8Array> {
  if (start.length === sizeOctets) return start
  const whole = Buffer.allocUnsafeSlow(sizeOctets)
  whole.set(start)
  await read(start.length, whole.subarray(start.length))
  return whole
}

const NOTHING = Buffer.alloc(0)
