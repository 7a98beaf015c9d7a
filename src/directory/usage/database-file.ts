/**
 * Whether a file can be given to LMDB, which is a library in this process: where the file is something else, or was cut
 * off, it does not answer with an error but ends the process.
 */

import { constants } from 'node:fs'
import { access, open } from 'node:fs/promises'

/** The two first pages are meta pages; their size is in them, so the places of a second one are tried. */
const PAGE_OCTETS = [4096, 8192, 16_384, 32_768, 65_536]
/** In a meta page, all in the machine's order of octets: the magic number, the size of a page, the last page in use, the transaction. */
const MAGIC_AT = 24
const MAGIC = 0xbeefc0de
const PAGE_SIZE_AT = 48
const LAST_PAGE_AT = 144
const TRANSACTION_AT = 152
const META_OCTETS = 160
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** @throws with what is wrong with it */
export async function checkDatabase(path: string): Promise<'new' | 'whole'> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (file === null) return 'new'
  try {
    const { size } = await file.stat()
    // Made, and not written before its process was killed.
    if (size === 0) return 'new'
    await access(path, constants.R_OK | constants.W_OK)
    const first = await metaAt(0)
    const others = await Promise.all(PAGE_OCTETS.map(at => metaAt(at)))
    const second = others.find((meta, index) => meta?.pageOctets === PAGE_OCTETS[index])
    const newest = [first, second]
      .filter(meta => meta != null)
      .toSorted((one, other) => Number(other.transaction - one.transaction))[0]
    if (newest === undefined || size < Number(newest.lastPage + 1n) * newest.pageOctets)
      throw new Error(`${path} is damaged, or something else: move it away, the counts begin anew then`)
    return 'whole'
  } finally {
    await file.close()
  }

  async function metaAt(at: number) {
    const page = Buffer.alloc(META_OCTETS)
    if (file === null || (await file.read(page, 0, META_OCTETS, at)).bytesRead < META_OCTETS) return null
    const view = new DataView(page.buffer, page.byteOffset)
    if (view.getUint32(MAGIC_AT, LITTLE_ENDIAN) !== MAGIC) return null
    return {
      pageOctets: view.getUint32(PAGE_SIZE_AT, LITTLE_ENDIAN),
      lastPage: view.getBigUint64(LAST_PAGE_AT, LITTLE_ENDIAN),
      transaction: view.getBigUint64(TRANSACTION_AT, LITTLE_ENDIAN),
    }
  }
}
