/**
 * Makes a folder's file system wait for the disk where a peer does not: the attributes S and D of chattr(1), which what is made in
 * the folder inherits. A mail server may say 250 when a power cut loses nothing of the message any more (RFC 5321 §6.1).
 */

import { execFileSync } from 'node:child_process'

/** For `missingPrograms`. */
export const SYNCHRONOUS = { chattr: 'e2fsprogs' } as const

/**
 * `writes`: each is on the disk, and each change of the folder, before the call returns. `names`: the changes of the folder only.
 *
 * @throws Error the file system cannot: what is acknowledged there would not be durable
 */
export function makeSynchronous(folder: string, what: 'writes' | 'names'): void {
  try {
    execFileSync('chattr', [what === 'writes' ? '+SD' : '+D', folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer }
    throw new Error(`its queue cannot be made durable: ${stderr?.toString().trim() || error}`)
  }
}
