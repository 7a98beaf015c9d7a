/**
 * The process that is killed while its database is written anew: `node queue-shrink.ts FOLDER`. Says `swept` when it was not.
 */

import { all, newMessage, octets } from '../../src/queue/contract.ts'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'

const queue = await openEmbedded({
  folder: process.argv[2] ?? '',
  compactAboveOctets: 1024 * 1024,
  mostStories: 0,
})
const ids = Array.from({ length: 100 }, (_, n) => `M${100 + n}`)
await Promise.all(ids.map(id => queue.put(newMessage(id, ['a@one.example']), [octets(50_000)])))
const jobs = await queue.lease(1000, 95)
await Promise.all(jobs.map(job => queue.settle(job, all(job, 'delivered'))))
await queue.sweep(1000)
await queue.close()
console.log('swept')
