/**
 * The process of `submission.ts`: `node submission-process.ts <ptt.toml>`. To its parent's word `forget` it begins to watch of
 * what its memory consists, and to `parts` it says by how much each has grown at most.
 */

import { getHeapSpaceStatistics } from 'node:v8'
import { loadConfig } from '../../src/config/load.ts'
import { silent } from '../../src/observe/event.ts'
import { startSubmission } from '../../src/submission/service.ts'

/** In octets. */
export interface Parts {
  /** V8's young generation: it grows with the rate of garbage, up to 128 MiB, and stays. */
  readonly young: number
  readonly old: number
  /** Content, and what was content until the next collection. */
  readonly buffers: number
  /** OpenSSL, the allocator, code. */
  readonly native: number
}

const SAMPLE_MS = 20

function parts(): Parts {
  const { rss, heapTotal, external, arrayBuffers } = process.memoryUsage()
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  const youngOctets = young?.physical_space_size ?? 0
  return {
    young: youngOctets,
    old: heapTotal - youngOctets,
    buffers: arrayBuffers,
    native: Math.max(0, rss - heapTotal - Math.max(external, arrayBuffers)),
  }
}

let before = parts()
let most = before
setInterval(() => {
  const now = parts()
  const larger = (part: keyof Parts) => Math.max(most[part], now[part])
  most = { young: larger('young'), old: larger('old'), buffers: larger('buffers'), native: larger('native') }
}, SAMPLE_MS).unref()

process.on('message', word => {
  if (word === 'forget') {
    before = parts()
    most = before
  }
  const grown = (part: keyof Parts) => most[part] - before[part]
  process.send?.({
    young: grown('young'),
    old: grown('old'),
    buffers: grown('buffers'),
    native: grown('native'),
  })
})

const service = await startSubmission(loadConfig(process.argv[2] ?? ''), silent)
process.send?.(service.port)
