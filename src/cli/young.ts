/** The young part of V8's heap, where what lives shortly is made. */

import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** From here on it does not grow. V8 would let it have some 100 MiB: of them submission and signer had 20 to 40 each under load (measured). */
const ENOUGH_OCTETS = 16 * 1024 * 1024

/**
 * It grows to a size at which clearing it costs little, and not as far as V8 would go. Against a young part that never grows it
 * spares a tenth of the relay's CPU for no memory that could be measured. When there is nothing to do V8 makes it small, and
 * with the next mail it grows again.
 */
export function keepYoungSmall(): void {
  let grows = true
  const observer = new PerformanceObserver(() => {
    const small = youngOctets() < ENOUGH_OCTETS
    if (small === grows) return
    grows = small
    setFlagsFromString(`--semi-space-growth-factor=${grows ? 2 : 1}`)
  })
  observer.observe({ entryTypes: ['gc'] })
}

function youngOctets(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0
}
