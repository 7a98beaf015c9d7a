/** A clone for one command, in a folder that goes away with it. */

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Clone } from './clone.ts'
import { isBranch, parseRemote, type Remote } from './remote.ts'

export interface RepositoryOptions {
  readonly repository: string
  readonly branch: string
  /** The deployment's domain. */
  readonly domain: string
  /** The folder for passing files: os.tmpdir(). */
  readonly temporary: string
}

/** Nothing was changed, or could be found out, for a reason that is not ours: in words for whoever asked. */
export class EditError extends Error {
  override readonly name = 'EditError'
}

export const TIMEOUT_MS = 60_000

export async function inPassingClone<Result>(
  options: RepositoryOptions,
  use: (clone: Clone, remote: Remote) => Promise<Result>,
): Promise<Result> {
  const remote = parseRemote(options.repository)
  if (!isBranch(options.branch)) throw new EditError(`"${options.branch}" is not the name of a branch`)
  const folder = await mkdtemp(join(options.temporary, 'ptt-user-'))
  let clone: Clone | null = null
  try {
    clone = await Clone.open(join(folder, 'users.git'), { remote, branch: options.branch })
    return await use(clone, remote)
  } finally {
    clone?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** `null`: the repository has no commit yet, and the first one makes the branch. */
export async function fetchHead(clone: Clone): Promise<string | null> {
  const fetched = await clone.fetch(TIMEOUT_MS)
  if (fetched.kind === 'fetched') return fetched.commit
  if (fetched.kind === 'no-branch' && fetched.empty) return null
  throw new EditError([fetched.reason, fetched.advice].filter(words => words !== '').join('; '))
}
