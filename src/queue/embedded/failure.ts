/** Errors of the operating system and of LMDB as a QueueError: is there no space, or is something else wrong? */

import { QueueError } from '../queue.ts'

/** Names as Node gives them for files; numbers as LMDB does: ENOSPC, EFBIG, EDQUOT (Linux, macOS), MDB_MAP_FULL. */
const NO_SPACE: readonly unknown[] = ['ENOSPC', 'EFBIG', 'EDQUOT', 28, 27, 122, 69, -30792]
/** LMDB says EIO when a write was cut short, and that is how a disk that has just become full begins. */
const SHORT_WRITE = 5
const HARDLY_ANY_OCTETS = 1024 * 1024

export async function queueError(cause: unknown, freeOctets: () => Promise<number>): Promise<QueueError> {
  if (cause instanceof QueueError) return cause
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const full =
    NO_SPACE.includes(code) ||
    (code === SHORT_WRITE && (await freeOctets().catch(() => Infinity)) < HARDLY_ANY_OCTETS)
  const reason = cause instanceof Error ? cause.message : String(cause)
  return full
    ? new QueueError('full', `no space left for the spool: ${reason}`, cause)
    : new QueueError('io', `the spool cannot be written: ${reason}`, cause)
}
