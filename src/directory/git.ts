/**
 * Runs the `git` program: never through a shell, never asking anything, never longer than it may take.
 *
 * REACHES what the repository's URL names, over file, https or ssh; http only on this machine.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { Remote } from './remote.ts'

export type GitErrorCode = 'MISSING' | 'TIMEOUT' | 'CANCELLED' | 'TOO_MUCH' | 'FAILED'

export class GitError extends Error {
  override readonly name = 'GitError'
  readonly code: GitErrorCode
  /** What git said, without what every line of it starts with. */
  readonly said: string
  /** What it had written to its standard output. */
  readonly output: string

  constructor(code: GitErrorCode, message: string, said = '', output = '') {
    super(message)
    this.code = code
    this.said = said
    this.output = output
  }
}

export interface GitOptions {
  /** The bare repository to work in. */
  readonly folder: string
  readonly timeoutMs: number
  readonly input?: string | Uint8Array
  readonly signal?: AbortSignal | undefined
  readonly env?: Readonly<Record<string, string>>
  /** `key=value` of git's configuration, for this run. */
  readonly settings?: readonly string[]
  /** Where the repository being talked to is, for what may be spoken with it. */
  readonly remote?: Remote
}

/** Settings of the operator's own (proxy, credential helper, CA) stay in force; these do not depend on them. */
const SETTINGS = dashC([
  'protocol.ext.allow=never',
  'core.hooksPath=/dev/null',
  // A power cut must not leave a branch that names a commit which is not there.
  'core.fsync=committed,loose-object',
  'transfer.fsckObjects=true',
  'fetch.recurseSubmodules=no',
  'push.recurseSubmodules=no',
  'gc.autoDetach=false',
  'http.lowSpeedLimit=1',
  'http.lowSpeedTime=30',
])

/** Left over from a hook or a shell, these would send git to another repository than the one meant. */
const MISLEADING = [
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_DIR',
  'GIT_INDEX_FILE',
  'GIT_NAMESPACE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_PREFIX',
  'GIT_QUARANTINE_PATH',
  'GIT_SHALLOW_FILE',
  'GIT_WORK_TREE',
]

const MAX_SAID_OCTETS = 16 * 1024
const MAX_OUTPUT_OCTETS = 256 * 1024 * 1024
/** After SIGTERM git removes its lock files; after this it is not asked any more. */
const KILL_AFTER_MS = 5000

/**
 * A git that stays: the same settings, and what goes in and out is the caller's. It ends when its input does.
 * @throws GitError `FAILED` when there are no file descriptors left to speak with it.
 */
export function startGit(args: readonly string[], folder: string): ChildProcessWithoutNullStreams {
  const child = launch(args, environment(folder, undefined, {}))
  child.stderr.resume()
  return child
}

/** What git wrote to its standard output. Rejects with a GitError. */
export function git(args: readonly string[], options: GitOptions): Promise<Buffer> {
  const { folder, timeoutMs, input = '', signal, remote, settings = [] } = options
  return new Promise((done, fail) => {
    if (signal?.aborted) return fail(new GitError('CANCELLED', 'git was not started: we are stopping'))
    const child = launch([...dashC(settings), ...args], environment(folder, remote, options.env))
    const output: Buffer[] = []
    let outputOctets = 0
    let said = ''
    let ended: GitError | null = null
    let killer: NodeJS.Timeout | undefined

    const end = (error: GitError) => {
      if (ended) return
      ended = error
      kill('SIGTERM')
      killer = setTimeout(kill, KILL_AFTER_MS, 'SIGKILL')
    }
    const kill = (how: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, how)
      } catch {
        // ESRCH: all of it is gone already.
      }
    }
    const cancel = () => end(new GitError('CANCELLED', `git ${args[0]} was stopped`))
    const timer = setTimeout(() => {
      end(new GitError('TIMEOUT', `git ${args[0]} took longer than ${timeoutMs / 1000} s`))
    }, timeoutMs)
    signal?.addEventListener('abort', cancel, { once: true })

    child.stdout.on('data', (chunk: Buffer) => {
      outputOctets += chunk.length
      if (outputOctets > MAX_OUTPUT_OCTETS)
        end(new GitError('TOO_MUCH', `git ${args[0]} gives too much output`))
      else output.push(chunk)
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (said.length < MAX_SAID_OCTETS) said += chunk
    })
    child.stdin.on('error', () => {
      // EPIPE: git ended before it read everything; its exit status says why.
    })
    child.stdin.end(input)

    const settle = (error: GitError | null) => {
      clearTimeout(timer)
      clearTimeout(killer)
      signal?.removeEventListener('abort', cancel)
      if (error) fail(error)
      else done(Buffer.concat(output, outputOctets))
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT'
      settle(
        new GitError(
          missing ? 'MISSING' : 'FAILED',
          missing
            ? 'the git program is not installed: apt-get install git'
            : `git does not start: ${error.message}`,
        ),
      )
    })
    child.on('close', (status, how) => {
      if (ended || status === 0) return settle(ended)
      const words = summary(said)
      const message = words || `git ${args[0]} ended with ${how ?? `status ${status}`}`
      settle(new GitError('FAILED', message, said, Buffer.concat(output, outputOctets).toString()))
    })
  })
}

/** In a session of its own: nothing in it can ask at our terminal, and ssh and git's helpers end together with git. */
function launch(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams {
  let child: ChildProcessWithoutNullStreams
  try {
    child = spawn('git', [...SETTINGS, ...args], { detached: true, stdio: 'pipe', env })
  } catch (error) {
    throw new GitError('FAILED', `git does not start: ${(error as Error).message}`)
  }
  // Where no pipe can be made (EMFILE, ENFILE) there are no streams, whatever their type says, and an event comes later.
  if ((child as Partial<ChildProcessWithoutNullStreams>).stderr) return child
  child.on('error', () => {})
  throw new GitError('FAILED', 'git does not start: too many open files')
}

function dashC(settings: readonly string[]): string[] {
  return settings.flatMap(setting => ['-c', setting])
}

function environment(folder: string, remote: Remote | undefined, more: GitOptions['env']): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env }
  for (const name of MISLEADING) delete env[name]
  return {
    ...env,
    // Its words are compared with ours (remote.ts).
    LC_ALL: 'C',
    GIT_DIR: folder,
    GIT_TERMINAL_PROMPT: '0',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_ALLOW_PROTOCOL: remote?.protocol === 'http' ? 'http' : 'file:https:ssh',
    ...more,
  }
}

/** curl's, with which the same trouble would be news at each attempt: `Failed to connect to host port 443 after 12 ms: …` */
const HOW_LONG = / after \d+ ms\b/

/** The line that says most, and what other machines said. */
function summary(said: string): string {
  const lines = said.split(/[\r\n]+/).map(line => line.trim().replace(HOW_LONG, ''))
  const told = lines.filter(line => /^(fatal|error|ssh|remote|Host key|.*: Permission denied)\b/.test(line))
  return [...new Set((told.length > 0 ? told : lines).map(line => line.replace(/^(fatal|error): /, '')))]
    .filter(line => line !== '')
    .slice(0, 4)
    .join('; ')
}
