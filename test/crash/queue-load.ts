/**
 * The process that is killed: puts, settles, defers and removes as fast as it can, and says on standard output what it is
 * about to do and what was acknowledged. `node queue-load.ts FOLDER ROUND`.
 */

import { writeSync } from 'node:fs'
import { deferred, newMessage, octets } from '../../src/queue/contract.ts'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { contentSeed, DEFERRED_MS, NOW_MS, sizeOf } from './queue-model.ts'

const IN_FLIGHT = 24
const [folder = '', round = ''] = process.argv.slice(2)
const evidence = { atMs: NOW_MS, status: '2.0.0', diagnostic: '250 OK' }

/** Written before the next thing is begun: a pipe keeps it, whatever becomes of us. One that is full just now is waited for. */
function say(what: string, id: string): void {
  for (;;) {
    try {
      writeSync(1, `${what} ${id}\n`)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

const queue = await openEmbedded({ folder })
let minted = 0

async function work(worker: number): Promise<never> {
  for (let turn = worker; ; turn++) {
    const id = `R${round}-${String(minted++).padStart(6, '0')}`
    const recipients = turn % 5 === 0 ? ['a@one.example', `b@${turn % 7}.example`] : [`a@${turn % 7}.example`]
    say('putting', id)
    await queue.put(newMessage(id, recipients, NOW_MS), [octets(sizeOf(id), contentSeed(id))])
    say('put', id)
    const [job] = await queue.lease(NOW_MS, 1)
    if (!job) continue
    const leased = job.message.id
    switch (turn % 4) {
      case 0:
        say('settling', leased)
        await queue.settle(
          job,
          job.recipients.map(index => ({ index, action: 'delivered', evidence })),
        )
        // Whether another of its destinations is pending is seen by who looks.
        say('settled', `${leased} ${job.destination}`)
        break
      case 1:
        say('deferring', `${leased} ${job.destination}`)
        await queue.settle(job, deferred(job, DEFERRED_MS))
        say('deferred', `${leased} ${job.destination}`)
        break
      case 2:
        say('removing', leased)
        await queue.remove(leased)
        say('removed', leased)
        queue.release(job)
        break
      default:
        queue.release(job)
    }
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, (_, worker) => work(worker)))
