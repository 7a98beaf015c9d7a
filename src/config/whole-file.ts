/**
 * Files of our own that are whole at any moment, whatever happens to the disk, the process or the power: who reads one finds
 * what was there before or what is there now.
 */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Writes `text` beside, and puts it in place; on the disk, name and all, when this returns.
 * @param mode of the file
 * @throws Error of the system: then what was at `path` is there still, but where only the sync of the folder has failed
 */
export function writeWhole(path: string, text: string, mode = 0o600): void {
  writeBeside(path, text, mode)
  putInPlace(path)
}

/** `<path>.new`, on the disk when this returns, and not there when it throws. For several that are put in place together. */
export function writeBeside(path: string, text: string, mode = 0o600): void {
  const beside = `${path}.new`
  // What a crash has left of an earlier attempt may have other rights.
  rmSync(beside, { force: true })
  const descriptor = openSync(beside, 'wx', mode)
  try {
    // Not writeSync: where there is room for a part, that writes the part and says so to whoever asks.
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  } finally {
    closeSync(descriptor)
  }
}

/** What `writeBeside` wrote, in the order given. */
export function putInPlace(...paths: readonly string[]): void {
  for (const path of paths) renameSync(`${path}.new`, path)
  for (const folder of new Set(paths.map(path => dirname(path)))) syncFolder(folder)
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
