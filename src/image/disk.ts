/**
 * A disk that boots by BIOS and by UEFI: a partition table of the old kind with one FAT32 partition, in which are the kernel, the
 * initramfs, SYSLINUX for the one and systemd-boot for the other. Both read their options from a text file there.
 */

import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchPackages, fileOf, type Package } from './debian.ts'
import { runTool } from './tools.ts'

export const DISK_PACKAGES: readonly string[] = ['syslinux', 'syslinux-common', 'systemd-boot-efi']

const SECTOR = 512
const MIB = 2 ** 20
/** Where partitions begin that suit every disk. */
const FIRST_SECTOR = 2048
/** The type of an EFI system partition in such a table (UEFI Specification §5.2.2). */
const EFI_SYSTEM = 0xef
const ACTIVE = 0x80
/** FAT's serial number, and the table's: the same in every build. */
const SERIAL = '50545421'
/** The root has no other limit in memory than the memory; the service logs to the serial port. */
export const KERNEL_OPTIONS = 'rootfstype=ramfs console=tty0 console=ttyS0 quiet'

export interface DiskOptions {
  readonly kernel: string
  readonly initrd: string
  /** `<name>.raw` and `<name>.qcow2` in that folder. */
  readonly output: string
  readonly name: string
  readonly cache: string
}

export interface Disks {
  readonly raw: string
  readonly qcow2: string
  readonly packages: readonly Package[]
}

export function makeDisks({ kernel, initrd, output, name, cache }: DiskOptions): Disks {
  const packages = fetchPackages(DISK_PACKAGES, cache)
  const raw = join(output, `${name}.raw`)
  const qcow2 = join(output, `${name}.qcow2`)
  const work = join(output, `${name}.work`)
  mkdirSync(work, { recursive: true })
  try {
    const content = [statSync(kernel), statSync(initrd)].reduce((sum, { size }) => sum + size, 0)
    const sectors = Math.ceil((content * 1.02 + 8 * MIB) / (8 * MIB)) * ((8 * MIB) / SECTOR)
    writeFileSync(raw, bootSector(file(packages, 'usr/lib/syslinux/mbr/mbr.bin'), sectors))
    truncateSync(raw, (FIRST_SECTOR + sectors) * SECTOR)
    const partition = `${raw}@@${FIRST_SECTOR * SECTOR}`
    const geometry = ['-h', '64', '-s', '32', '-T', `${sectors}`, '-H', `${FIRST_SECTOR}`]
    runTool('mformat', ['-i', partition, '-F', '-c', '2', '-v', 'PTTBOOT', '-N', SERIAL, ...geometry, '::'])
    fill(partition, work, packages, { kernel, initrd, name })
    // SYSLINUX writes where its second part is into the partition's first sectors.
    runTool('syslinux', ['--offset', `${FIRST_SECTOR * SECTOR}`, '--install', raw])
    runTool('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', raw, qcow2])
    return { raw, qcow2, packages: packages.filter(({ name }) => DISK_PACKAGES.includes(name)) }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The master boot record: code that starts the active partition, and a table with that one. */
export function bootSector(code: Buffer, sectors: number): Buffer {
  if (code.length > 440) throw new Error('mbr.bin is longer than what there is room for')
  const sector = Buffer.alloc(SECTOR)
  code.copy(sector)
  sector.write(SERIAL, 440, 'hex')
  const entry = 446
  sector[entry] = ACTIVE
  // The addresses by cylinder, head and sector of a disk that has more of them than can be said.
  sector.fill(0xff, entry + 1, entry + 4)
  sector[entry + 4] = EFI_SYSTEM
  sector.fill(0xff, entry + 5, entry + 8)
  sector.writeUInt32LE(FIRST_SECTOR, entry + 8)
  sector.writeUInt32LE(sectors, entry + 12)
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

function fill(
  partition: string,
  work: string,
  packages: readonly Package[],
  { kernel, initrd, name }: { kernel: string; initrd: string; name: string },
): void {
  const files: [path: string, octets: Buffer | string][] = [
    ['EFI/BOOT/BOOTX64.EFI', file(packages, 'usr/lib/systemd/boot/efi/systemd-bootx64.efi')],
    ['loader/loader.conf', 'default ptt.conf\ntimeout 0\neditor no\n'],
    [
      'loader/entries/ptt.conf',
      `title ptt ${name}\nlinux /vmlinuz\ninitrd /initrd\noptions ${KERNEL_OPTIONS}\n`,
    ],
    ['syslinux.cfg', `DEFAULT ptt\nLABEL ptt\nLINUX /vmlinuz\nINITRD /initrd\nAPPEND ${KERNEL_OPTIONS}\n`],
  ]
  for (const [path, octets] of files) {
    mkdirSync(join(work, path, '..'), { recursive: true })
    writeFileSync(join(work, path), octets)
  }
  copyFileSync(kernel, join(work, 'vmlinuz'))
  copyFileSync(initrd, join(work, 'initrd'))
  for (const path of ['EFI', 'EFI/BOOT', 'loader', 'loader/entries'])
    runTool('mmd', ['-i', partition, `::${path}`])
  for (const path of [...files.map(([path]) => path), 'vmlinuz', 'initrd'])
    runTool('mcopy', ['-i', partition, join(work, path), `::${path}`])
}

function file(packages: readonly Package[], path: string): Buffer {
  const found = fileOf(packages, path)
  if (found === undefined) throw new Error(`no Debian package has ${path}: was it renamed?`)
  return readFileSync(found.path)
}
