/** The images of the sources as they are, built once for all tests that boot them. */

import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { build } from '../../src/cli/image.ts'
import type { Built, Service } from '../../src/image/build.ts'
import { missingTools } from '../../src/image/tools.ts'

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/ptt-image')

/** True when images can be built here; otherwise the test is marked skipped, as by `need`. */
export function needImages(t: TestContext, disks = false): boolean {
  const [reason] = missingTools(disks)
  if (reason === undefined) return true
  if (process.env.CI === 'true') throw new Error(`${t.name}: ${reason} (CI=true: nothing may be skipped)`)
  console.error(`SKIPPED: ${t.name}: ${reason}`)
  t.skip(`SKIPPED: ${reason}`)
  return false
}

/** Packed quickly, and larger than those of `ptt image build` for that; `bundle` is what stands in for ptt. */
export function imageOf(service: Service, output: string, bundle?: string): Promise<Built> {
  return build({ service, output, cache: CACHE, level: 1, ...(bundle === undefined ? {} : { bundle }) })
}
