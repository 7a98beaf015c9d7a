/** The folder of a clone: told from other folders, made, and cleaned of what was left behind in it. */

import { mkdtemp, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Run } from './objects.ts'

/** What says that a folder is ours to clean up and to replace. */
const MARK = 'ptt-clone'
const LEFT_OVER = /\.lock$|^tmp_|^gnupg-/

/** `free`: nothing is there, or an empty folder. */
export type Content = 'free' | 'ours' | 'foreign'

/** Rejects where the folder cannot be read, or is none. */
export async function contentOf(folder: string): Promise<Content> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (names.length === 0) return 'free'
  return names.includes(MARK) ? 'ours' : 'foreign'
}

/**
 * An empty clone beside `place`, for the caller to move there: a crash never leaves half of one in the place itself.
 * `format` is that of the object names, `sha1` or `sha256`.
 */
export async function makeBeside(place: string, run: Run, format = 'sha1'): Promise<string> {
  const folder = await mkdtemp(join(dirname(place), `.${basename(place)}-`))
  await run(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, '--', folder], {
    folder,
  })
  await writeFile(join(folder, MARK), 'A clone of the repository of users, made by ptt. It can be deleted.\n')
  return folder
}

/**
 * Moves a clone that was made beside `place` there, so that it is whole after a power cut too: git sees to what it fetches, not
 * to what it made the clone with, and a clone with empty files is none to start from.
 */
export async function moveTo(folder: string, place: string): Promise<void> {
  for (const name of ['HEAD', 'config', MARK]) await flush(join(folder, name))
  await flush(folder)
  await rename(folder, place)
  await flush(dirname(place))
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * What a git that was killed, or whose remote or disk gave up, leaves behind: locks, on which every later fetch would
 * fail, and halves of packs, which fill the disk. To be called when nobody is at work in the clone.
 */
export async function sweep(clone: string): Promise<void> {
  for (const [folder, recursive] of [
    ['.', false],
    ['refs', true],
    ['objects/pack', false],
  ] as const) {
    const at = join(clone, folder)
    for (const entry of await readdir(at, { recursive }).catch((): string[] => []))
      if (LEFT_OVER.test(basename(entry))) await rm(join(at, entry), { recursive: true, force: true })
  }
}
