/** A queue in another process. As a script it is that process: `node queue-remote.ts FOLDER`, calls come over IPC. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import type { Queue } from '../../src/queue/queue.ts'

type Method =
  | 'put'
  | 'content'
  | 'get'
  | 'list'
  | 'retry'
  | 'remove'
  | 'count'
  | 'nextDue'
  | 'sweep'
  | 'close'

interface Call {
  readonly method: Method
  readonly args: readonly unknown[]
}

type Answer = { readonly value: unknown } | { readonly code: string; readonly message: string }

export type RemoteQueue = Pick<Queue, Method> & { readonly process: ChildProcess }

/** `limitBlocks`: no file may become larger than so many blocks of 512 octets, as if the disk were full. */
export async function openRemote(folder: string, limitBlocks?: number): Promise<RemoteQueue> {
  const command = [process.execPath, import.meta.filename, folder]
  const limit = limitBlocks === undefined ? '' : `ulimit -f ${limitBlocks}; `
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$0" "$@"`, ...command], {
    stdio: ['ignore', 'inherit', limitBlocks === undefined ? 'inherit' : 'ignore', 'ipc'],
    serialization: 'advanced',
  })
  await once(child, 'message')
  const call =
    (method: Method) =>
    async (...args: unknown[]) => {
      child.send({ method, args } satisfies Call)
      const [answer] = (await once(child, 'message')) as [Answer]
      if ('value' in answer) return answer.value
      throw Object.assign(new Error(answer.message), { code: answer.code })
    }
  const remote = { process: child } as Record<string, unknown>
  const methods: Method[] = ['put', 'content', 'get', 'list', 'retry', 'remove', 'count', 'nextDue', 'sweep']
  for (const method of methods) remote[method] = call(method)
  remote.close = async () => {
    await call('close')()
    const ended = once(child, 'exit')
    child.disconnect()
    await ended
  }
  return remote as unknown as RemoteQueue
}

if (import.meta.main) {
  const queue = await openEmbedded({ folder: process.argv[2] ?? '' })
  process.on('message', async ({ method, args }: Call) => {
    try {
      const value = await (queue[method] as (...args: readonly unknown[]) => Promise<unknown>)(...args)
      process.send?.({ value })
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      process.send?.({ code: String(code), message })
    }
  })
  process.send?.('ready')
}
