/** How V8's heap grows: the young part, where what lives shortly is made, and the old one. */

import { constants, PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** From here on the young part does not grow. V8 would let it have some 100 MiB: of them submission and signer had 20 to 40 each under load (measured). */
const YOUNG_OCTETS = 16 * 1024 * 1024
/** How much the old part may grow from one look through all of it to the next, with what the young part may add at once. */
const OLD_ROOM_OCTETS = 40 * 1024 * 1024

/**
 * The young part grows to a size at which clearing it costs little, and not as far as V8 would go. Against a young part that never
 * grows it spares a tenth of the relay's CPU for no memory that could be measured. When there is nothing to do V8 makes it small, and
 * with the next mail it grows again.
 *
 * The old part has room. Some of what mail needs outlives the young part: where 4 MiB of that came together V8 looked through a
 * heap of 20, each second under load. That was 4 % of the relay's CPU, and a tenth of all at 1 MiB a message (measured).
 */
export function keepHeap(): void {
  let grows = true
  giveRoom()
  const observer = new PerformanceObserver(list => {
    const small = youngOctets() < YOUNG_OCTETS
    if (small !== grows) {
      grows = small
      setFlagsFromString(`--semi-space-growth-factor=${grows ? 2 : 1}`)
    }
    if (list.getEntries().some(isMajor)) giveRoom()
  })
  observer.observe({ entryTypes: ['gc'] })
}

/** V8 wants it as a part of what lives; it holds from the next look on. */
function giveRoom(): void {
  setFlagsFromString(`--heap-growing-percent=${Math.ceil((100 * OLD_ROOM_OCTETS) / oldOctets())}`)
}

function isMajor(entry: object): boolean {
  const { kind } = (entry as { readonly detail: { readonly kind: number } }).detail
  return kind === constants.NODE_PERFORMANCE_GC_MAJOR
}

/** With all that it has set apart. */
function youngOctets(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0
}

/** What is in use of it. */
function oldOctets(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => !name.startsWith('new_'))
  return spaces.reduce((sum, { space_used_size: octets }) => sum + octets, 0)
}
