/**
 * Changes the repository: one commit on its branch, made in a passing clone and pushed.
 *
 * What a hook of the repository or somebody else's push refuses is refused here; what would break the directory is
 * refused before it is pushed. Nothing is ever checked out: files are written as Git objects, so that no filter, link
 * or hook of the repository has a say on this machine.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { WholeDirectory } from './assemble.ts'
import { Clone } from './clone.ts'
import { CommitReader } from './commit-reader.ts'
import { GitError, type GitOptions, git } from './git.ts'
import type { Blob } from './objects.ts'
import { DirectoryError } from './problem.ts'
import { Reader } from './read.ts'
import { advice, isBranch, parseRemote, type Remote } from './remote.ts'

export interface EditOptions {
  readonly repository: string
  readonly branch: string
  /** The deployment's domain. */
  readonly domain: string
  /** The folder for passing files: os.tmpdir(). */
  readonly temporary: string
}

/** Path → text of every file; empty for a repository without a commit. */
export type Files = ReadonlyMap<string, string>

/** `null` removes the file. */
export type Change = readonly [path: string, text: string | null]

/** Nothing was changed, for a reason that is not ours: in words for whoever asked. */
export class EditError extends Error {
  override readonly name = 'EditError'
}

const TIMEOUT_MS = 60_000
const LOST_RACE = /\[rejected\]|cannot lock ref|failed to update ref|incorrect old value/
/** Somebody else pushed in between: once more on what is there now. Of those who try at once, one gets through each time. */
const ATTEMPTS = 20

/** What the branch has now. Rejects with a DirectoryError when that is broken. */
export async function readRepository(options: EditOptions): Promise<WholeDirectory> {
  return inClone(options, async clone => {
    const commit = await head(clone)
    if (commit === null)
      throw new EditError(`${options.repository} is empty: make its first commit with ptt user add`)
    return new CommitReader(clone, options.domain).read(commit)
  })
}

/**
 * Commits what `change` makes of the files, and pushes it; the commit. `change` is asked again when somebody else
 * pushed in between.
 */
export async function edit(
  options: EditOptions,
  subject: string,
  change: (files: Files) => readonly Change[],
): Promise<string> {
  return inClone(options, async (clone, remote) => {
    for (let attempt = 1; ; attempt++) {
      const parent = await head(clone)
      const before = await snapshot(clone, parent)
      const changes = change(filesOf(before))
      await check(options, before, changes)
      const commit = await makeCommit(clone, options, parent, subject, changes)
      try {
        const args = [
          'push',
          '--quiet',
          '--no-follow-tags',
          '--',
          remote.url,
          `${commit}:refs/heads/${options.branch}`,
        ]
        await git(args, { folder: clone.folder, timeoutMs: TIMEOUT_MS, remote })
        return commit
      } catch (error) {
        if (!(error instanceof GitError)) throw error
        if (!LOST_RACE.test(error.said))
          throw new EditError(explain('was not pushed', error, remote), { cause: error })
        if (attempt >= ATTEMPTS)
          throw new EditError('others push at the same moment: nothing was changed, try again', {
            cause: error,
          })
      }
    }
  })
}

async function inClone<Result>(
  options: EditOptions,
  use: (clone: Clone, remote: Remote) => Promise<Result>,
): Promise<Result> {
  const remote = parseRemote(options.repository)
  if (!isBranch(options.branch)) throw new EditError(`"${options.branch}" is not the name of a branch`)
  const folder = await mkdtemp(join(options.temporary, 'ptt-user-'))
  try {
    return await use(await Clone.open(join(folder, 'users.git'), { remote, branch: options.branch }), remote)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** `null`: the repository has no commit yet, and the first one makes the branch. */
async function head(clone: Clone): Promise<string | null> {
  const fetched = await clone.fetch(TIMEOUT_MS)
  if (fetched.kind === 'fetched') return fetched.commit
  if (fetched.kind === 'no-branch' && fetched.empty) return null
  throw new EditError([fetched.reason, fetched.advice].filter(words => words !== '').join('; '))
}

interface Snapshot {
  readonly blobs: readonly Blob[]
  readonly contents: ReadonlyMap<string, Buffer>
}

async function snapshot(clone: Clone, commit: string | null): Promise<Snapshot> {
  const blobs = commit === null ? [] : [...(await clone.files(commit)).values()]
  const files = blobs.filter(({ mode }) => mode !== '160000')
  const contents = await clone.contents(files.map(({ oid }) => oid))
  return { blobs, contents: new Map(contents.map((octets, index) => [files[index]?.oid ?? '', octets])) }
}

function filesOf({ blobs, contents }: Snapshot): Files {
  return new Map(blobs.map(({ path, oid }) => [path, contents.get(oid)?.toString() ?? '']))
}

/** What is pushed can be in force: the services would refuse the commit otherwise, and the change with it. */
async function check(
  { domain }: EditOptions,
  { blobs, contents }: Snapshot,
  changes: readonly Change[],
): Promise<void> {
  const texts = new Map<string, Buffer>()
  const written = changes.flatMap(([path, text]): Blob[] => {
    if (text === null) return []
    const octets = Buffer.from(text)
    texts.set(path, octets)
    return [{ mode: '100644', path, oid: path, sizeOctets: octets.length }]
  })
  const kept = blobs.filter(({ path }) => !changes.some(([changed]) => changed === path))
  try {
    await new Reader(domain).read('', [...kept, ...written], async oids =>
      oids.map(oid => texts.get(oid) ?? contents.get(oid) ?? Buffer.alloc(0)),
    )
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error
    const ours = error.problems.some(({ file }) => changes.some(([path]) => path === file))
    const why = ours
      ? 'the services would refuse this'
      : 'the repository is broken already: repair this first'
    throw new EditError(`nothing was changed, ${why}:\n${error.message}`, { cause: error })
  }
}

async function makeCommit(
  clone: Clone,
  options: EditOptions,
  parent: string | null,
  subject: string,
  changes: readonly Change[],
): Promise<string> {
  const run = async (args: readonly string[], more: Partial<GitOptions> = {}) =>
    (await git(args, { folder: clone.folder, timeoutMs: TIMEOUT_MS, ...more })).toString().trim()
  await run(['read-tree', ...(parent === null ? ['--empty'] : [parent])])
  const entries: string[] = []
  for (const [path, text] of changes) {
    const oid = text === null ? null : await run(['hash-object', '-w', '--stdin'], { input: text })
    entries.push(
      oid === null ? `0 ${'0'.repeat(parent?.length ?? 40)}\t${path}\0` : `100644 ${oid}\t${path}\0`,
    )
  }
  await run(['update-index', '-z', '--index-info'], { input: entries.join('') })
  const tree = await run(['write-tree'])
  const parents = parent === null ? [] : ['-p', parent]
  const env = await identity(run, options.domain)
  return run(['commit-tree', tree, ...parents, '-F', '-'], { env, input: `${subject}\n` })
}

/** Who git says the author is; where nobody told it, ptt itself. */
async function identity(
  run: (args: readonly string[]) => Promise<string>,
  domain: string,
): Promise<Record<string, string>> {
  const configured = (key: string) =>
    run(['config', '--get', key]).catch((error: unknown) => {
      // Status 1 and no words: the key is not there.
      if (error instanceof GitError && error.code === 'FAILED' && error.said === '') return ''
      throw error
    })
  const [name, email] = [await configured('user.name'), await configured('user.email')]
  const { GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME, GIT_COMMITTER_EMAIL } = process.env
  const ours = name !== '' && email !== '' ? { name, email } : { name: 'ptt', email: `postmaster@${domain}` }
  return {
    GIT_AUTHOR_NAME: GIT_AUTHOR_NAME || ours.name,
    GIT_AUTHOR_EMAIL: GIT_AUTHOR_EMAIL || ours.email,
    GIT_COMMITTER_NAME: GIT_COMMITTER_NAME || ours.name,
    GIT_COMMITTER_EMAIL: GIT_COMMITTER_EMAIL || ours.email,
  }
}

function explain(what: string, error: GitError, remote: Remote): string {
  return [`${what}: ${error.message}`, advice(error.said, remote)].filter(words => words !== '').join('; ')
}
