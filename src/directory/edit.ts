/**
 * Changes the repository: one commit on its branch, made in a passing clone and pushed.
 *
 * What a hook of the repository or somebody else's push refuses is refused here; what would break the directory is
 * refused before it is pushed. Nothing is ever checked out: files are written as Git objects, so that no filter, link
 * or hook of the repository has a say on this machine.
 */

import type { WholeDirectory } from './assemble.ts'
import type { Clone } from './clone.ts'
import { CommitReader } from './commit-reader.ts'
import { compare, type Difference } from './compare.ts'
import { GitError, type GitOptions, git } from './git.ts'
import type { Blob } from './objects.ts'
import { EditError, fetchHead, inPassingClone, type RepositoryOptions, TIMEOUT_MS } from './passing-clone.ts'
import { DirectoryError } from './problem.ts'
import { Reader } from './read.ts'
import { advice, type Remote } from './remote.ts'
import type { Requirement } from './requirement.ts'
import { verifySignature } from './signature.ts'

export { EditError } from './passing-clone.ts'

/** What is committed must pass what `[directory] require` asks; nothing, where it is not given. */
export type EditOptions = RepositoryOptions & Partial<Requirement>

/** Path → text of every file; empty for a repository without a commit. */
export type Files = ReadonlyMap<string, string>

/** `null` removes the file. */
export type Change = readonly [path: string, text: string | null]

const LOST_RACE = /\[rejected\]|cannot lock ref|failed to update ref|incorrect old value/
/** Somebody else pushed in between: once more on what is there now. Of those who try at once, one gets through each time. */
const ATTEMPTS = 20

/** What the branch has now. Rejects with a DirectoryError when that is broken. */
export async function readRepository(options: EditOptions): Promise<WholeDirectory> {
  return inPassingClone(options, async clone => {
    const commit = await fetchHead(clone)
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
  return inPassingClone(options, async (clone, remote) => {
    for (let attempt = 1; ; attempt++) {
      const parent = await fetchHead(clone)
      const before = await snapshot(clone, parent)
      const files = filesOf(before)
      const changes = change(files)
      if (changes.every(([path, text]) => (files.get(path) ?? null) === text))
        throw new EditError('nothing was changed: it is so already')
      await check(options, before, changes)
      const commit = await makeCommit(clone, options, parent, subject, changes)
      await checkSignature(clone, options, commit)
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

/** What `change` would make of the directory: refused for the same reasons, and nothing is committed. */
export async function rehearse(
  options: RepositoryOptions,
  change: (files: Files) => readonly Change[],
): Promise<Difference[]> {
  return inPassingClone(options, async clone => {
    const before = await snapshot(clone, await fetchHead(clone))
    const changes = change(filesOf(before))
    return compare(await check(options, before, []), await check(options, before, changes))
  })
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
): Promise<WholeDirectory> {
  const texts = new Map<string, Buffer>()
  const written = changes.flatMap(([path, text]): Blob[] => {
    if (text === null) return []
    const octets = Buffer.from(text)
    texts.set(path, octets)
    return [{ mode: '100644', path, oid: path, sizeOctets: octets.length }]
  })
  const kept = blobs.filter(({ path }) => !changes.some(([changed]) => changed === path))
  try {
    return await new Reader(domain).read('', [...kept, ...written], async oids =>
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
  const signed = options.require === 'signed' || (await configured(run, 'commit.gpgSign', 'bool')) === 'true'
  try {
    const sign = signed ? ['-S'] : []
    return await run(['commit-tree', tree, ...parents, ...sign, '-F', '-'], { env, input: `${subject}\n` })
  } catch (error) {
    if (!signed || !(error instanceof GitError)) throw error
    throw new EditError(
      `nothing was changed, the commit cannot be signed: ${error.message}; tell git with whose key: user.signingKey and gpg.format (git-config(1))`,
      { cause: error },
    )
  }
}

/** The services would refuse it. */
async function checkSignature(clone: Clone, options: EditOptions, commit: string): Promise<void> {
  if (options.require !== 'signed') return
  const signature = await verifySignature(clone, commit, options)
  if (signature.kind === 'none')
    throw new EditError(`nothing was changed, the services would refuse the commit: ${signature.reason}`)
}

/** Who git says the author is; where nobody told it, ptt itself. */
async function identity(run: RunText, domain: string): Promise<Record<string, string>> {
  const [name, email] = [await configured(run, 'user.name'), await configured(run, 'user.email')]
  const { GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME, GIT_COMMITTER_EMAIL } = process.env
  const ours = name !== '' && email !== '' ? { name, email } : { name: 'ptt', email: `postmaster@${domain}` }
  return {
    GIT_AUTHOR_NAME: GIT_AUTHOR_NAME || ours.name,
    GIT_AUTHOR_EMAIL: GIT_AUTHOR_EMAIL || ours.email,
    GIT_COMMITTER_NAME: GIT_COMMITTER_NAME || ours.name,
    GIT_COMMITTER_EMAIL: GIT_COMMITTER_EMAIL || ours.email,
  }
}

type RunText = (args: readonly string[]) => Promise<string>

async function configured(run: RunText, key: string, type = 'path'): Promise<string> {
  return run(['config', `--type=${type}`, '--get', key]).catch((error: unknown) => {
    // Status 1 and no words: the key is not there.
    if (error instanceof GitError && error.code === 'FAILED' && error.said === '') return ''
    throw error
  })
}

function explain(what: string, error: GitError, remote: Remote): string {
  return [`${what}: ${error.message}`, advice(error.said, remote)].filter(words => words !== '').join('; ')
}
