/**
 * A shared library that is in memory, loaded: Linux loads them from files only, so it is one for a moment.
 *
 * Who could write to that file, or exchange it, would run his code in our process. So nothing is kept from one start to
 * the next that would have to be trusted again: each process makes a folder of its own, of mode 700 and a name that
 * cannot be foretold, in a place where nobody else can rename it, creates the file there (never opens one that is there),
 * reads it back, loads it, and deletes both. Processes that start at the same time do not meet. One that is killed
 * within these milliseconds leaves a folder `ptt-XXXXXX` behind, which nobody reads.
 */

import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
const REMEDY = 'set TMPDIR to a folder of your own where programs may run'

/** The library cannot be loaded by way of this folder: what is wrong with it, and what to do. */
export class UnpackError extends Error {}

/**
 * What the library `octets` exports. `name` is what its file is called, for the maps of the process.
 * @throws UnpackError
 */
export function loadLibrary(name: string, octets: Uint8Array, parent: string = tmpdir()): unknown {
  const place = safePlace(parent)
  const folder = make(() => mkdtempSync(join(place, 'ptt-')), place)
  try {
    const { uid, mode } = lstatSync(folder)
    if (uid !== process.geteuid?.() || (mode & 0o777) !== 0o700)
      throw new UnpackError(`${folder} is not ours alone, though we have just made it: ${REMEDY}`)
    const path = join(folder, name)
    make(() => write(path, octets), place)
    const loaded: { exports: unknown } = { exports: {} }
    try {
      process.dlopen(loaded, path)
    } catch (cause) {
      throw new UnpackError(explain(place, cause), { cause })
    }
    return loaded.exports
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function write(path: string, octets: Uint8Array): void {
  const descriptor = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o500)
  try {
    writeFileSync(descriptor, octets)
  } finally {
    closeSync(descriptor)
  }
  // What is cut short would not be refused by dlopen, but end us with SIGBUS.
  if (digest(readFileSync(path)) !== digest(octets))
    throw new UnpackError(`${path} is not what was written to it: is that disk whole? ${REMEDY}`)
}

function digest(octets: Uint8Array): string {
  return createHash('sha256').update(octets).digest('hex')
}

/**
 * Where `folder` really is. What is in a folder can be renamed by its owner, by whoever may write to it where it is not
 * sticky, and so can each folder above.
 */
function safePlace(folder: string): string {
  const place = make(() => realpathSync(folder), folder)
  const ours = new Set([0, process.geteuid?.()])
  for (let at = place; ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at)
    if (!ours.has(uid)) throw new UnpackError(`${at} belongs to another user (${uid}): ${REMEDY}`)
    if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0)
      throw new UnpackError(
        `others may rename what is in ${at} (mode ${(mode & 0o7777).toString(8)}): ${REMEDY}`,
      )
    if (at === dirname(at)) return place
  }
}

function make<T>(action: () => T, place: string): T {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof UnpackError) throw cause
    throw new UnpackError(`${place}: nothing can be put there (${(cause as Error).message}): ${REMEDY}`, {
      cause,
    })
  }
}

function explain(place: string, cause: unknown): string {
  const { message } = cause as Error
  if (/failed to map segment|Operation not permitted/.test(message))
    return `${place} is mounted so that no program can be run from there (noexec): ${REMEDY}`
  return `what was unpacked to ${place} cannot be loaded: ${message}`
}
