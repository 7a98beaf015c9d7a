/** Where the time of a process goes, from V8's sampling profiler: in the process itself, and in short. */

import { Session } from 'node:inspector/promises'
import { setTimeout as pause } from 'node:timers/promises'

/** Shares of the time that the process was at work, by whose code it was; they add up to 1. */
export type Shares = Readonly<Record<string, number>>

const SAMPLED_MS = 1500

/** A sample is that of the function on top of the stack. */
export async function sampleShares(): Promise<Shares> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  await pause(SAMPLED_MS)
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const owners = new Map(profile.nodes.map(({ id, callFrame }) => [id, ownerOf(callFrame)]))
  const samples = new Map<string, number>()
  let atWork = 0
  // Each counts once, however long the next one took to come: the machine was at something else then.
  for (const id of profile.samples ?? []) {
    const owner = owners.get(id) ?? 'idle'
    if (owner === 'idle') continue
    atWork++
    samples.set(owner, (samples.get(owner) ?? 0) + 1)
  }
  return Object.fromEntries([...samples].map(([owner, count]) => [owner, count / atWork]))
}

function ownerOf({ functionName, url }: { functionName: string; url: string }): string {
  if (functionName === '(idle)' || functionName === '(root)' || url === 'node:inspector') return 'idle'
  // The send system call of the kernel, and what it does there at once: the whole way to the reader on the same machine.
  if (functionName === 'writeBuffer' || functionName === 'writev' || /^write\w+String$/.test(functionName))
    return 'write calls'
  if (functionName === '(program)') return 'read and poll calls'
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (url === '' || url.startsWith('node:')) return "Node's streams and timers"
  return /\/src\/(smtp|net)\//.exec(url)?.[1] ?? 'other'
}

export function formatShares(shares: Shares): string {
  return Object.entries(shares)
    .toSorted(([, one], [, other]) => other - one)
    .map(([owner, share]) => `${owner} ${Math.round(share * 100)} %`)
    .join(', ')
}
