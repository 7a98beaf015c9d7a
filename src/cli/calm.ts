/**
 * A service that has started gives back what its start has left: V8 keeps the heap as large as it was, for it only looks for
 * garbage when more is made.
 *
 * Not after that. Together with memory V8 gives up the code that it has compiled: where this was done, by us or by V8's own memory
 * reducer, when no mail had come for ten seconds, the next mail cost half as much CPU again, for 20,000 messages (measured).
 */

import { performance } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_MS = 1000
/** Who is not calm by then has mail to carry. */
const LOOKS = 10
/** The part of its time in which a service does something, since the last look. */
const CALM_UTILIZATION = 0.02
/** Less is not worth a pause of 50 ms. */
const WORTH_OCTETS = 8 * 1024 * 1024

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/** Once, as soon as it is calm. It keeps no process alive. */
export function giveBackWhenCalm(): void {
  setFlagsFromString('--no-memory-reducer-favors-memory')
  let before = performance.eventLoopUtilization()
  const look = (left: number) => {
    const { utilization } = performance.eventLoopUtilization(before)
    before = performance.eventLoopUtilization()
    if (isTime(utilization, heapOctets())) giveBack()
    else if (left > 0) setTimeout(look, LOOK_MS, left - 1).unref()
  }
  setTimeout(look, LOOK_MS, LOOKS - 1).unref()
}

export function isTime(utilization: number, heapOctets: number): boolean {
  return utilization < CALM_UTILIZATION && heapOctets >= WORTH_OCTETS
}

/**
 * What V8 does before it would run out of memory. Its collector is there for new contexts only, and while the flag is set; V8 takes
 * code that Node keeps of its own modules with the flags alone that it was made with.
 */
function giveBack(): void {
  setFlagsFromString('--expose-gc')
  const collect: Collect = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** In memory, and not only set apart. */
function heapOctets(): number {
  return getHeapStatistics().total_physical_size
}
