/** Content that was put: what is in memory as what is to be read, and the other way round. */

import { START_OCTETS, type StoredContent } from './queue.ts'

export function inMemory(octets: Uint8Array): StoredContent {
  return {
    sizeOctets: octets.length,
    start: octets.subarray(0, START_OCTETS),
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
