/** The way of a message of 4 KiB through the queue, in memory and on disk. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { openMemory } from '../../src/queue/memory/memory.ts'
import type { NewMessage, Queue, RecipientResult } from '../../src/queue/queue.ts'
import { writer } from './mail.ts'
import type { Operation, Room } from './measure.ts'

const CONTENT = [Buffer.alloc(4096, 'x')]
const HOUR_MS = 3600_000
const AT_ONCE = 64

export const queue: Room = { name: 'queue', operations }

async function operations(measured: Promise<void>): Promise<Operation[]> {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-micro-'))
  const embedded = await openEmbedded({ folder })
  // Who leases keeps a journal, which is made now.
  await embedded.lease(0, 1)
  const memory = openMemory()
  measured.then(async () => {
    await Promise.all([embedded.close(), memory.close()])
    rmSync(folder, { recursive: true })
  })
  const { address } = writer(5)
  let minted = 0
  const mint = (): NewMessage => messageTo(address(), `${process.pid}-${String(minted++).padStart(16, '0')}`)
  return [...passage('memory', memory, mint), ...passage('on disk', embedded, mint)]
}

function passage(where: string, queue: Queue, mint: () => NewMessage): Operation[] {
  const through = async () => {
    await queue.put(mint(), CONTENT)
    const [job] = await queue.lease(Date.now(), 1)
    if (job === undefined) throw new Error('there is nothing to lease')
    const evidence = {
      atMs: Date.now(),
      status: '2.0.0',
      diagnostic: '250 2.0.0 OK',
      remote: 'mx.example [192.0.2.1]',
    }
    await queue.settle(
      job,
      job.recipients.map((index): RecipientResult => ({ index, action: 'delivered', evidence })),
    )
  }
  return [
    { name: `put, lease and settle, ${where}, ${AT_ONCE} at once`, run: { atOnce: AT_ONCE, one: through } },
    {
      name: `put, ${where}, ${AT_ONCE} at once`,
      run: { atOnce: AT_ONCE, one: () => queue.put(mint(), CONTENT) },
    },
  ]
}

function messageTo(address: string, id: string): NewMessage {
  const nowMs = Date.now()
  const [localPart = '', domain = ''] = address.split('@')
  const mailbox = { localPart, domain }
  return {
    id,
    arrivedMs: nowMs,
    dueMs: nowMs,
    expiresMs: nowMs + HOUR_MS,
    recipients: [{ mailbox, destination: domain }],
    envelope: {
      reversePath: { localPart: 'alice', domain: 'example.com' },
      recipients: [{ forwardPath: mailbox }],
      body: '8BITMIME',
      smtputf8: false,
      sizeOctets: 4096,
      authenticatedAs: 'alice@example.com',
      xptt: { id, commit: '0123456789abcdef0123456789abcdef01234567' },
    },
  }
}
