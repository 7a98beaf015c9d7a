/** The images of the sources as they are, for the tests that boot them. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { build } from '../../src/cli/image.ts'
import type { BuildOptions, Built } from '../../src/image/build.ts'
import type { Service } from '../../src/image/settings.ts'
import { missingTools } from '../../src/image/tools.ts'

/** Packages are fetched once, the root is packed once. */
export const CACHE = join(import.meta.dirname, '../../node_modules/.cache/ptt-image')

/** Where Debian's package ovmf has what a machine with UEFI starts with; later versions have the second only. */
const FIRMWARE = ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_CODE_4M.fd']

/** True when images can be built here; otherwise the test is marked skipped, as by `need`. */
export function needImages(t: TestContext, disks = false): boolean {
  const [reason] = missingTools(disks)
  return reason === undefined || skip(t, reason)
}

/** The firmware; `null`, and the test is marked skipped, where it is missing. */
export function needFirmware(t: TestContext): string | null {
  const found = FIRMWARE.find(path => existsSync(path)) ?? null
  if (found === null) skip(t, 'there is no UEFI firmware for QEMU: apt-get install ovmf')
  return found
}

/** Packed quickly, and larger than those of `ptt image build` for that. A `bundle` stands in for ptt. */
export function imageOf(
  service: Service,
  output: string,
  options: Partial<Pick<BuildOptions, 'bundle' | 'cache' | 'disks' | 'vmlinux'>> = {},
): Promise<Built> {
  return build({ service, output, cache: CACHE, level: 1, ...options })
}

function skip(t: TestContext, reason: string): false {
  if (process.env.CI === 'true') throw new Error(`${t.name}: ${reason} (CI=true: nothing may be skipped)`)
  console.error(`SKIPPED: ${t.name}: ${reason}`)
  t.skip(`SKIPPED: ${reason}`)
  return false
}
