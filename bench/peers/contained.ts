/**
 * Runs a program in a PID namespace of its own (unshare(1), pid_namespaces(7)): daemons that leave their parent stay in its
 * tree, so that what they cost is counted, and none is left when it ends. Only root can.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

export interface Contained {
  readonly pid: number
  /** What it said. */
  said(): string
  /** Rejects when it ends by itself. */
  readonly ended: Promise<never>
  stop(): Promise<void>
}

/** Process 1 of the namespace: it takes in orphans, whose times the system then adds to its own, and ends with the program. */
const INIT = `
  my $program = fork // die "fork: $!";
  if ($program == 0) { exec @ARGV or die "exec $ARGV[0]: $!" }
  while ((my $ended = wait) != -1) { last if $ended == $program }
  exit($? >> 8);
`

/** @param log the file for what it says */
export function contain(
  log: string,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Contained {
  const output = openSync(log, 'a', 0o600)
  const namespaces = ['--pid', '--fork', '--kill-child', '--mount-proc']
  const child: ChildProcess = spawn('unshare', [...namespaces, 'perl', '-e', INIT, '--', ...command], {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
  })
  closeSync(output)
  const said = () => readFileSync(log, 'utf8')
  const gone = once(child, 'exit')
  let stopping = false
  const ended = gone.then(() => {
    if (!stopping) throw new Error(`${command[0]} has ended: ${said().slice(-2000)}`)
    return new Promise<never>(() => {})
  })
  ended.catch(() => {})
  return {
    pid: child.pid ?? 0,
    said,
    ended,
    async stop() {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      // Its child, process 1, is killed with it, and everybody in the namespace with that.
      child.kill('SIGKILL')
      await gone
    },
  }
}
