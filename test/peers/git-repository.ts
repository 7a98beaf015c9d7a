/** A bare Git repository of users for tests: commits are made with `git fast-import`, whatever their number of files. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Who signs a commit (git-signer.ts). */
export interface GitSigner {
  /** `key=value` of git's configuration. */
  readonly settings: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface GitRepository {
  /** The bare repository's folder. */
  readonly path: string
  /** Adds, changes and (`null`) removes files; the new commit. `branch` is `main` when not given. */
  commit(files: Readonly<Record<string, string | Uint8Array | null>>, branch?: string): Promise<string>
  /** The same, signed; without files, the commit that is there is signed by another on top of it. */
  commitSigned(
    files: Readonly<Record<string, string | null>>,
    signer: GitSigner,
    branch?: string,
  ): Promise<string>
  /** Any git command in it: what it wrote, trimmed. */
  git(...args: string[]): Promise<string>
  remove(): Promise<void>
}

export async function makeGitRepository(
  options: { format?: 'sha1' | 'sha256' } = {},
): Promise<GitRepository> {
  const folder = await mkdtemp(join(tmpdir(), 'ptt-users-'))
  const path = join(folder, 'users.git')
  await run(['init', '--quiet', '--bare', `--object-format=${options.format ?? 'sha1'}`, '-b', 'main', path])
  const commit: GitRepository['commit'] = async (files, branch = 'main') => {
    const ref = `refs/heads/${branch}`
    const parent = await run(['-C', path, 'for-each-ref', '--format=%(objectname)', ref])
    const parts: (string | Uint8Array)[] = [
      `commit ${ref}\ncommitter Test <test@example.com> now\ndata 4\ntest\n`,
    ]
    if (parent !== '') parts.push(`from ${parent}\n`)
    for (const [name, content] of Object.entries(files)) {
      if (content === null) parts.push(`D ${name}\n`)
      else parts.push(`M 100644 inline ${name}\ndata ${Buffer.byteLength(content)}\n`, content, '\n')
    }
    await run(
      ['-C', path, 'fast-import', '--quiet', '--force', '--date-format=now'],
      Buffer.concat(parts.map(part => Buffer.from(part))),
    )
    return run(['-C', path, 'rev-parse', ref])
  }
  return {
    path,
    commit,
    async commitSigned(files, signer, branch = 'main') {
      const ref = `refs/heads/${branch}`
      const settings = signer.settings.flatMap(setting => ['-c', setting])
      const parent = await run(['-C', path, 'for-each-ref', '--format=%(objectname)', ref])
      const unsigned = await commit(files, branch)
      const tree = ['commit-tree', '-S', '-m', 'test', ...(parent === '' ? [] : ['-p', parent])]
      const env = { ...NOBODY, ...signer.env }
      const signed = await run(['-C', path, ...settings, ...tree, `${unsigned}^{tree}`], '', env)
      await run(['-C', path, 'update-ref', ref, signed])
      return signed
    },
    git: (...args) => run(['-C', path, ...args], '', NOBODY),
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
  }
}

/** Who commits; that nobody told git who we are is none of its business here. */
const NOBODY = {
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
}

function run(
  args: readonly string[],
  input: Uint8Array | string = '',
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 64 << 20, env: { ...process.env, ...env } }
    const child = execFile('git', args, options, (error, stdout, stderr) =>
      error
        ? reject(new Error(`git ${args.join(' ')}: ${stderr}`, { cause: error }))
        : resolve(stdout.trim()),
    )
    // A git that reads no input closes the pipe.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
