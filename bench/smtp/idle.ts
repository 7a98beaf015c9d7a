/** What 5,000 clients that are connected and say nothing cost one submission process: TLS 1.3, after EHLO. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Figure } from './report.ts'
import { MIB, startSubmissionProcess } from './submission.ts'

const SESSIONS = 5000

export async function idle(_quick: boolean): Promise<Figure[]> {
  if (process.platform !== 'linux') {
    console.error('SKIPPED: idle: the memory of a process is read from /proc')
    return []
  }
  // Nobody sends: there is no signer.
  const submission = await startSubmissionProcess(async () => 1)
  const { memory } = submission
  const before = memory.octets
  const begin = performance.now()
  const clients = fork(
    join(import.meta.dirname, 'idle-clients.ts'),
    [String(submission.port), String(SESSIONS)],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  )
  try {
    const [answer] = (await once(clients, 'message')) as [number | string]
    if (typeof answer === 'string') throw new Error(answer)
    const seconds = (performance.now() - begin) / 1000
    const after = memory.octets
    return [
      {
        name: `memory with ${SESSIONS} idle TLS sessions`,
        value: after / MIB,
        unit: 'MiB',
        aim: { most: 500 },
        note: `${Math.round(before / MIB)} MiB before; most ${Math.round(memory.peakOctets / MIB)} MiB`,
      },
      { name: 'memory of an idle TLS session', value: (after - before) / 1024 / SESSIONS, unit: 'KiB' },
      {
        name: 'TLS sessions opened',
        value: SESSIONS / seconds,
        unit: '/s',
        note: 'clients on the same cores',
      },
    ]
  } finally {
    clients.kill()
    await once(clients, 'exit')
    await submission.stop()
  }
}
