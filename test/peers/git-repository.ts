/** A bare Git repository of users for tests: commits are made with `git fast-import`, whatever their number of files. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface GitRepository {
  /** The bare repository's folder. */
  readonly path: string
  /** Adds, changes and (`null`) removes files; the new commit. `branch` is `main` when not given. */
  commit(files: Readonly<Record<string, string | Uint8Array | null>>, branch?: string): Promise<string>
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
  return {
    path,
    async commit(files, branch = 'main') {
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
    },
    git: (...args) => run(['-C', path, ...args]),
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
  }
}

function run(args: readonly string[], input: Uint8Array | string = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('git', args, { maxBuffer: 64 << 20 }, (error, stdout, stderr) =>
      error
        ? reject(new Error(`git ${args.join(' ')}: ${stderr}`, { cause: error }))
        : resolve(stdout.trim()),
    )
    // A git that reads no input closes the pipe.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
