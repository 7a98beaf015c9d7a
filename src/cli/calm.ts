/**
 * A service that has nothing to do gives back what its start, or the mail of the last hour, has left: V8 keeps the heap as large
 * as it was, for it only looks for garbage when more is made.
 */

import { performance } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Until it has given back what its start has left. */
const FIRST_LOOK_MS = 1000
const LOOK_MS = 10_000
/** The part of its time in which a service does something, since the last look. */
const CALM_UTILIZATION = 0.02
/** Less is not worth a pause of 50 ms, and a young part of the heap that has to grow again. */
const WORTH_OCTETS = 8 * 1024 * 1024

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/** From now on, whenever it is calm. It keeps no process alive. */
export function giveBackWhenCalm(): void {
  let keptOctets = 0
  let before = performance.eventLoopUtilization()
  const look = () => {
    const { utilization } = performance.eventLoopUtilization(before)
    before = performance.eventLoopUtilization()
    if (isTime(utilization, heapOctets(), keptOctets)) {
      giveBack()
      keptOctets = heapOctets()
    }
    setTimeout(look, keptOctets === 0 ? FIRST_LOOK_MS : LOOK_MS).unref()
  }
  setTimeout(look, FIRST_LOOK_MS).unref()
}

/** @param keptOctets what the heap was after the last time; 0: there was none */
export function isTime(utilization: number, heapOctets: number, keptOctets: number): boolean {
  return utilization < CALM_UTILIZATION && heapOctets >= keptOctets + WORTH_OCTETS
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
