/**
 * The kernel modules of an image, in the order in which one needs the other. Nothing is loaded on demand: what is not named
 * here is not there, and after the start no module can be loaded.
 */

import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { octetsOf } from './tools.ts'

/** What a virtual machine may have: virtio over PCI or MMIO, or the devices of other hypervisors and clouds. */
const WANTED = [
  'virtio_pci',
  'virtio_mmio',
  'virtio_blk',
  'virtio_net',
  'virtio_rng',
  'virtio_scsi',
  'virtio_balloon',
  'sd_mod',
  'sr_mod',
  'ena',
  'gve',
  'hv_vmbus',
  'hv_netvsc',
  'hv_storvsc',
  'loop',
  'squashfs',
  'isofs',
  'vfat',
  'nls_cp437',
  'nls_ascii',
  'crc32c-intel',
  'evdev',
  'button',
]

export interface Module {
  readonly name: string
  readonly octets: Buffer
}

/** @throws Error when the kernel has not even what makes a disk and a network */
export function modulesOf(kernelFolder: string): Module[] {
  const [modules] = globSync('{usr/,}lib/modules/*', { cwd: kernelFolder })
  if (modules === undefined) throw new Error(`${kernelFolder} has no modules: is it a kernel package?`)
  const root = join(kernelFolder, modules)
  const paths = new Map(
    globSync('kernel/**/*.ko{,.xz}', { cwd: root }).map(path => [
      wordOf(basename(path).replace(/\.ko(?:\.xz)?$/, '')),
      join(root, path),
    ]),
  )
  const builtIn = new Set(
    readFileSync(join(root, 'modules.builtin'), 'utf8')
      .split('\n')
      .map(line => wordOf(basename(line, '.ko'))),
  )
  const order = new Map<string, Module>()
  const add = (wanted: string, by: string) => {
    const name = wordOf(wanted)
    const path = paths.get(name)
    if (order.has(name) || builtIn.has(name)) return
    if (path === undefined) {
      if (by !== '') throw new Error(`the module ${name}, which ${by} needs, is not in ${root}`)
      return
    }
    const octets = unpacked(path)
    for (const dependency of dependenciesOf(octets)) add(dependency, name)
    order.set(name, { name: `${name}.ko`, octets })
  }
  for (const name of WANTED) add(name, '')
  for (const name of ['virtio_blk', 'virtio_net', 'squashfs', 'loop'])
    if (!order.has(name) && !builtIn.has(name)) throw new Error(`the kernel in ${root} has no ${name}`)
  return [...order.values()]
}

/** From Debian 13 on modules are packed; the initramfs is packed as a whole. */
function unpacked(path: string): Buffer {
  return path.endsWith('.xz') ? octetsOf('xz', ['--decompress', '--stdout', path]) : readFileSync(path)
}

/** `depends=` of the section .modinfo: what depmod(8) reads as well. */
function dependenciesOf(octets: Buffer): string[] {
  const at = octets.indexOf('\0depends=')
  if (at < 0) return []
  const start = at + '\0depends='.length
  const list = octets.toString('latin1', start, octets.indexOf(0, start))
  return list.split(',').filter(Boolean)
}

/** To the kernel, - and _ are the same. */
function wordOf(name: string): string {
  return name.replaceAll('-', '_')
}
