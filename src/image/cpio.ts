/**
 * An initramfs: a cpio archive in the format that the kernel takes ("newc", Documentation/driver-api/early-userspace/
 * buffer-format.rst). The same entries give the same octets: times, owners and inode numbers are not those of any machine.
 */

export type Entry =
  | { readonly path: string; readonly folder: true }
  | { readonly path: string; readonly octets: Uint8Array; readonly executable?: boolean }

const FOLDER = 0o040755
const FILE = 0o100644
const PROGRAM = 0o100755

/** Sorted by path, a folder before what is in it. @throws Error for two entries of one path */
export function writeCpio(entries: readonly Entry[]): Buffer {
  const sorted = entries.toSorted((one, other) => (one.path < other.path ? -1 : 1))
  const parts: Uint8Array[] = []
  let last = ''
  for (const [at, entry] of sorted.entries()) {
    if (entry.path === last) throw new Error(`two entries are called ${entry.path}`)
    last = entry.path
    const octets = 'octets' in entry ? entry.octets : new Uint8Array()
    const mode = 'folder' in entry ? FOLDER : entry.executable ? PROGRAM : FILE
    parts.push(...record(at + 1, entry.path, mode, octets))
  }
  parts.push(...record(0, 'TRAILER!!!', 0, new Uint8Array()))
  const archive = Buffer.concat(parts)
  // A boot loader may put another archive after it.
  return Buffer.concat([archive, Buffer.alloc(-archive.length & 511)])
}

/** Header, name and content, the last two filled up to a multiple of four octets. */
function record(inode: number, path: string, mode: number, octets: Uint8Array): Uint8Array[] {
  const name = Buffer.from(`${path}\0`, 'utf8')
  const links = mode === FOLDER ? 2 : 1
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const fields = [inode, mode, 0, 0, links, 0, octets.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map(hex).join('')}`, 'latin1')
  return [
    header,
    name,
    Buffer.alloc(-(header.length + name.length) & 3),
    octets,
    Buffer.alloc(-octets.length & 3),
  ]
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0').toUpperCase()
}
