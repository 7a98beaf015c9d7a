/**
 * Builds the image of a service: a kernel and an initramfs, which has init, the kernel's modules and the root as one squashfs.
 * The same packages, sources and Node give the same octets, on any machine.
 */

import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Entry, writeCpio } from './cpio.ts'
import { fetchKernel, fetchPackages, type Package } from './debian.ts'
import { makeDisks } from './disk.ts'
import { modulesOf } from './modules.ts'
import { makeRoot, ROOT_PACKAGES } from './root.ts'
import { formatSbom } from './sbom.ts'
import type { Service } from './settings.ts'
import { needTools, runTool } from './tools.ts'
import { unpackKernel } from './vmlinux.ts'

export interface BuildOptions {
  /** Of ptt. */
  readonly version: string
  readonly service: Service
  /** Where the files go: `<service>-vmlinuz` and so on. */
  readonly output: string
  /** Of Debian packages and the squashfs of before. */
  readonly cache: string
  /** What scripts/build-bundle.mjs makes. */
  readonly bundle: string
  /** The sources of init: image/init. */
  readonly init: string
  /** The Node to put in: the one that runs this. */
  readonly node: string
  /** A raw disk and a qcow2 of it as well. */
  readonly disks?: boolean
  /** The kernel as an ELF file as well. */
  readonly vmlinux?: boolean
  /** 1 to 22: 19 is small and takes half a minute, 1 is for tests. */
  readonly level?: number
}

export interface Built {
  readonly kernel: string
  /** Where it was asked for. */
  readonly vmlinux?: string
  readonly initrd: string
  readonly disks: readonly string[]
  /** What is in it, as CycloneDX. */
  readonly sbom: string
  /** Of which something is in it. */
  readonly packages: readonly Package[]
  /** In the root. */
  readonly files: readonly string[]
}

/** @throws Error with what is missing, and how to install it */
export function buildImage(options: BuildOptions): Built {
  const { service, output, cache } = options
  needTools(options.disks ?? false)
  for (const folder of [output, cache]) mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(cache, 'build-'))
  try {
    const kernelPackage = fetchKernel(cache)
    const packages = fetchPackages(ROOT_PACKAGES, cache)
    const root = join(work, 'root')
    const { used, files } = makeRoot(root, { ...options, packages })
    const squashfs = squash(root, work, cache, options.level ?? 19)
    const initrd = join(output, `${service}-initrd`)
    const small = writeCpio([
      { path: 'init', octets: compileInit(options.init, work), executable: true },
      { path: 'service', octets: Buffer.from(`${service}\n`) },
      ...moduleEntries(kernelPackage),
    ])
    // Two archives one after the other, of which the kernel unpacks what is packed; the squashfs is packed in itself.
    const large = writeCpio([{ path: 'root.squashfs', octets: readFileSync(squashfs) }])
    writeFileSync(initrd, Buffer.concat([padded(gzipSync(small, { level: 9 })), large]))
    const kernel = join(output, `${service}-vmlinuz`)
    copyFileSync(bootFile(kernelPackage), kernel)
    const vmlinux = join(output, `${service}-vmlinux`)
    if (options.vmlinux) writeFileSync(vmlinux, unpackKernel(readFileSync(kernel)))
    const also = options.vmlinux ? { vmlinux } : {}
    const made = options.disks ? makeDisks({ kernel, initrd, output, name: service, cache }) : undefined
    const disks = made === undefined ? [] : [made.raw, made.qcow2]
    const all = [kernelPackage, ...used, ...(made?.packages ?? [])]
    const sbom = join(output, `${service}.cdx.json`)
    const text = formatSbom({
      ...options,
      // The Node that is in it.
      nodeVersion: process.versions.node,
      bundled: JSON.parse(readFileSync(join(options.bundle, 'packages.json'), 'utf8')),
      packages: all,
      files: [kernel, ...Object.values(also), initrd, ...disks],
    })
    writeFileSync(sbom, text)
    return { kernel, ...also, initrd, disks, sbom, packages: all, files }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** What comes after it begins at a multiple of four octets. */
function padded(octets: Buffer): Buffer {
  return Buffer.concat([octets, Buffer.alloc(-octets.length & 3)])
}

function moduleEntries(kernel: Package): Entry[] {
  const modules = modulesOf(kernel.folder)
  const order = modules.map(({ name }) => `${name}\n`).join('')
  return [
    { path: 'modules', folder: true },
    { path: 'modules/order', octets: Buffer.from(order) },
    ...modules.map(({ name, octets }) => ({ path: `modules/${name}`, octets })),
  ]
}

function bootFile({ folder }: Package): string {
  const [name] = globSync('boot/vmlinuz-*', { cwd: folder })
  if (name === undefined) throw new Error(`${folder} has no kernel`)
  return join(folder, name)
}

/** Static, with musl: it is the only program that runs before there are libraries, and it asks for names of time servers. */
function compileInit(sources: string, work: string): Buffer {
  const program = join(work, 'init')
  const files = globSync('*.c', { cwd: sources }).toSorted()
  if (files.length === 0) throw new Error(`the sources of init are not in ${sources}`)
  // The headers of the kernel come after musl's own.
  const headers = ['/usr/include', '/usr/include/x86_64-linux-gnu'].flatMap(path => ['-idirafter', path])
  const flags = [
    '-static',
    '-Os',
    '-std=gnu11',
    '-D_GNU_SOURCE',
    '-fstack-protector-strong',
    '-Wl,--build-id=none',
    '-s',
  ]
  runTool('musl-gcc', [...flags, '-o', program, ...files, ...headers], { cwd: sources })
  return readFileSync(program)
}

/**
 * The root is the same for all services, and packing it is what takes the time: one that was packed before is taken again
 * when nothing in it has changed.
 */
function squash(root: string, work: string, cache: string, level: number): string {
  const kept = join(cache, `root-${level}-${digest(root)}.squashfs`)
  if (existsSync(kept)) return kept
  const packed = join(work, 'root.squashfs')
  const same = ['-all-root', '-no-xattrs', '-no-exports']
  const small = ['-comp', 'zstd', '-Xcompression-level', `${level}`, '-b', '256K']
  runTool('mksquashfs', [root, packed, '-noappend', '-no-progress', '-quiet', ...same, ...small])
  renameSync(packed, kept)
  return kept
}

/** Of all names, modes and contents. */
function digest(folder: string): string {
  const hash = createHash('sha256')
  for (const path of globSync('**/*', { cwd: folder }).toSorted()) {
    const place = join(folder, path)
    const status = lstatSync(place)
    hash.update(`${path}\0${status.mode.toString(8)}\0`)
    if (status.isSymbolicLink()) hash.update(readlinkSync(place))
    if (status.isFile()) hash.update(readFileSync(place))
  }
  return hash.digest('hex')
}
