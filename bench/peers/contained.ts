/**
 * Runs a program in namespaces of its own (unshare(1)). Daemons that leave their parent stay in its tree, so that what they cost
 * is counted, and none is left when it ends; it sees unpacked packages in /usr and folders of ours where it has its own. Only
 * root can.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Processes } from '../systems/processes.ts'

export interface Contained {
  /** What it said. */
  said(): string
  /** Rejects when it ends by itself. */
  readonly ended: Promise<never>
  stop(): Promise<void>
}

export interface ContainOptions {
  /** Whose it is to be. */
  readonly processes: Processes
  /** The file for what it says. */
  readonly log: string
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** A folder whose `usr` is laid over /usr. */
  readonly over?: string
  /** Files and folders of ours, and where they are seen. */
  readonly binds?: Readonly<Record<string, string>>
}

/** Process 1 of the namespace: it takes in orphans, whose times the system then adds to its own, and ends with the program. */
const INIT = `
  my $program = fork // die "fork: $!";
  if ($program == 0) { exec @ARGV or die "exec $ARGV[0]: $!" }
  while ((my $ended = wait) != -1) { last if $ended == $program }
  exit($? >> 8);
`

export function contain({ processes, log, command, env = {}, over, binds = {} }: ContainOptions): Contained {
  const mounts = Object.entries(binds).map(([ours, place]) => `mount --bind '${ours}' '${place}' && `)
  if (over !== undefined) mounts.unshift(`mount -t overlay -o 'lowerdir=${over}/usr:/usr' overlay /usr && `)
  const script = `${mounts.join('')}exec "$0" "$@"`
  const namespaces = ['--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script]
  const output = openSync(log, 'a', 0o600)
  const inner = [
    'setpriv',
    '--pdeathsig',
    'KILL',
    'unshare',
    ...namespaces,
    'perl',
    '-e',
    INIT,
    '--',
    ...command,
  ]
  const [program, ...args] = processes.wrap(inner)
  const child: ChildProcess = spawn(program, args, {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
  })
  closeSync(output)
  processes.add(child.pid ?? 0)
  const said = () => readFileSync(log, 'utf8')
  const gone = once(child, 'exit')
  let stopping = false
  const ended = gone.then(() => {
    if (!stopping) throw new Error(`${command[0]} has ended: ${said().slice(-2000)}`)
    return new Promise<never>(() => {})
  })
  ended.catch(() => {})
  return {
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
