/**
 * The kernel as an ELF file, which is packed in what a boot loader takes (bzImage): for monitors that load it themselves,
 * such as Firecracker. Where it is in there, the setup header says (The Linux/x86 Boot Protocol, from version 2.08 on).
 */

import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { readElf, sizeOfElf } from './elf.ts'
import { unpackLz4 } from './lz4.ts'
import { octetsOf } from './tools.ts'

const SECTOR = 512
const SETUP_SECTORS = 0x1f1
const MAGIC = 0x202
const VERSION = 0x206
const PAYLOAD_OFFSET = 0x248
const PAYLOAD_LENGTH = 0x24c
/** The length of what is packed stands behind it in all forms but gzip, which has it itself. */
const LENGTH_OCTETS = 4

type Unpack = (packed: Buffer) => Buffer

/** What the payload begins with → how it is unpacked. Debian 12 has LZ4. */
const FORMS: readonly (readonly [magic: string, unpack: Unpack])[] = [
  ['02214c18', packed => unpackLz4(withoutLength(packed), lengthOf(packed))],
  ['28b52ffd', packed => zstdDecompressSync(withoutLength(packed))],
  ['fd377a58', packed => octetsOf('xz', ['--decompress', '--stdout'], { input: withoutLength(packed) })],
  ['1f8b', packed => gunzipSync(packed)],
]

/** @throws Error when it is no bzImage, is packed in a form that is not known here, or holds no ELF file */
export function unpackKernel(bzImage: Buffer): Buffer {
  const packed = payloadOf(bzImage)
  const form = FORMS.find(([magic]) => packed.toString('hex', 0, magic.length / 2) === magic)
  if (form === undefined)
    throw new Error(
      `the kernel is packed in a form that is not known (it begins with ${packed.toString('hex', 0, 6)}): LZ4, zstd, xz and gzip are`,
    )
  const kernel = form[1](packed)
  if (readElf(kernel) === null) throw new Error('what is packed in the kernel is no ELF file of 64 bits')
  // What comes after it is for the code that unpacks and moves it.
  return kernel.subarray(0, sizeOfElf(kernel))
}

function payloadOf(bzImage: Buffer): Buffer {
  if (bzImage.length < PAYLOAD_LENGTH + 4 || bzImage.toString('latin1', MAGIC, MAGIC + 4) !== 'HdrS')
    throw new Error('this is no kernel for x86: it has no setup header')
  const version = bzImage.readUInt16LE(VERSION)
  if (version < 0x208)
    throw new Error(`the kernel's setup header is of version ${version.toString(16)}: too old`)
  // 0 stands for 4, for very old ones.
  const setup = ((bzImage[SETUP_SECTORS] || 4) + 1) * SECTOR
  const start = setup + bzImage.readUInt32LE(PAYLOAD_OFFSET)
  const end = start + bzImage.readUInt32LE(PAYLOAD_LENGTH)
  if (end > bzImage.length || end - start < 2 * LENGTH_OCTETS)
    throw new Error('the kernel ends before what is packed in it does: is the file whole?')
  return bzImage.subarray(start, end)
}

function withoutLength(packed: Buffer): Buffer {
  return packed.subarray(0, -LENGTH_OCTETS)
}

function lengthOf(packed: Buffer): number {
  return packed.readUInt32LE(packed.length - LENGTH_OCTETS)
}
