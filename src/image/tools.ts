/** The programs that build an image, and the Debian packages they are in. */

import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Program → Debian package. */
const PACKAGES = {
  'apt-cache': 'apt',
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  mcopy: 'mtools',
  mformat: 'mtools',
  mmd: 'mtools',
  mksquashfs: 'squashfs-tools',
  'musl-gcc': 'musl-tools gcc linux-libc-dev',
  'qemu-img': 'qemu-utils',
  strip: 'binutils',
  syslinux: 'syslinux mtools',
  xz: 'xz-utils',
} as const

export type Tool = keyof typeof PACKAGES

/** What goes into an image, of the kernel and of Debian, is not installed here; these are. */
const FOR_KERNEL_AND_INITRD: readonly Tool[] = [
  'apt-cache',
  'apt-get',
  'dpkg-deb',
  'mksquashfs',
  'musl-gcc',
  'strip',
  'xz',
]
const FOR_DISKS: readonly Tool[] = ['mcopy', 'mformat', 'mmd', 'qemu-img', 'syslinux']

const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** @throws Error that says which Debian packages to install */
export function needTools(disks: boolean): void {
  const missing = [...FOR_KERNEL_AND_INITRD, ...(disks ? FOR_DISKS : [])].filter(tool => find(tool) === null)
  if (missing.length === 0) return
  if (find('apt-get') === null)
    throw new Error(
      'there is no apt-get: images are built of Debian packages, on Debian or a system made of it',
    )
  const packages = [...new Set(missing.flatMap(tool => PACKAGES[tool].split(' ')))].toSorted()
  throw new Error(`${missing.join(', ')} missing: apt-get install ${packages.join(' ')}`)
}

/** Which of those are missing; a test that needs them is skipped. */
export function missingTools(disks: boolean): readonly string[] {
  try {
    needTools(disks)
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

/**
 * What the program wrote to its standard output.
 * @throws Error with what it complained of
 */
export function runTool(tool: Tool, args: readonly string[], options: { cwd?: string } = {}): string {
  return octetsOf(tool, args, options).toString()
}

/** The same where that is no text. */
export function octetsOf(
  tool: Tool,
  args: readonly string[],
  { cwd, input }: { cwd?: string; input?: Buffer } = {},
): Buffer {
  try {
    return execFileSync(find(tool) ?? tool, args, {
      ...(cwd === undefined ? {} : { cwd }),
      ...(input === undefined ? {} : { input }),
      // Whoever writes times into what is built takes this one (reproducible-builds.org).
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', SOURCE_DATE_EPOCH: '0' },
      maxBuffer: 256 * 2 ** 20,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: Buffer }
    if (code === 'ENOENT') throw new Error(`${tool} is missing: apt-get install ${PACKAGES[tool]}`)
    throw new Error(`${tool}: ${String(stderr ?? '').trim() || (error as Error).message}`, { cause: error })
  }
}

function find(program: string): string | null {
  const isExecutable = (path: string) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  return (
    FOLDERS.filter(Boolean)
      .map(folder => join(folder, program))
      .find(isExecutable) ?? null
  )
}
