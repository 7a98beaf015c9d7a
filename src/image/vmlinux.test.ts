import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { need } from '../../test/peers/need.ts'
import { unpackLz4 } from './lz4.ts'
import { octetsOf } from './tools.ts'
import { unpackKernel } from './vmlinux.ts'

/** What a kernel has behind it: it is not of the ELF file. */
const RELOCATIONS = Buffer.from('relocations')

/** An ELF file of a header, a segment and no sections, of which the last octets are `text`. */
function elf(text: string): Buffer {
  const octets = Buffer.alloc(120 + text.length)
  octets.write('7f454c46020101', 'hex')
  octets.writeUInt16LE(2, 16)
  octets.writeBigUInt64LE(64n, 32)
  octets.writeUInt16LE(56, 54)
  octets.writeUInt16LE(1, 56)
  octets.writeUInt32LE(1, 64)
  octets.writeBigUInt64LE(120n, 72)
  octets.writeBigUInt64LE(BigInt(text.length), 96)
  octets.write(text, 120)
  return octets
}

/** As the boot protocol has it: two sectors of setup, then code, what is packed, and more code. */
function bzImage(packed: Buffer, { version = 0x20f, code = 16 } = {}): Buffer {
  const setup = Buffer.alloc(2 * 512)
  setup[0x1f1] = 1
  setup.write('HdrS', 0x202)
  setup.writeUInt16LE(version, 0x206)
  setup.writeUInt32LE(code, 0x248)
  setup.writeUInt32LE(packed.length, 0x24c)
  return Buffer.concat([setup, Buffer.alloc(code, 0xcc), packed, Buffer.alloc(8, 0xcc)])
}

function withLength(packed: Uint8Array, octets: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(octets)
  return Buffer.concat([packed, length])
}

/** A block of literals, with a length that is continued. */
function stored(octets: Buffer): Buffer {
  const more = octets.length - 15
  const lengths = [...Array(Math.floor(more / 255)).fill(255), more % 255]
  const block = Buffer.concat([Buffer.from([0xf0, ...lengths]), octets])
  return Buffer.concat([Buffer.from('02214c18', 'hex'), withLength(Buffer.alloc(0), block.length), block])
}

const kernel = elf('this is the kernel, it is long enough for a length that goes on '.repeat(10))
const whole = Buffer.concat([kernel, RELOCATIONS])

for (const [form, packed] of [
  ['LZ4', withLength(stored(whole), whole.length)],
  ['zstd', withLength(zstdCompressSync(whole), whole.length)],
  ['gzip', gzipSync(whole)],
] as const)
  test(`a kernel packed with ${form} becomes the ELF file that it was, and what is behind that is left out`, () => {
    assert.deepEqual(unpackKernel(bzImage(packed)), kernel)
    assert.deepEqual(unpackKernel(bzImage(packed, { code: 700 })), kernel)
  })

test('a kernel packed with xz too', t => {
  if (!need(t, 'xz')) return
  const packed = octetsOf('xz', ['--stdout', '--check=crc32'], { input: whole })
  assert.deepEqual(unpackKernel(bzImage(withLength(packed, whole.length))), kernel)
})

for (const [what, image, says] of [
  ['no kernel', Buffer.alloc(2000), /no setup header/],
  ['an old kernel', bzImage(gzipSync(whole), { version: 0x207 }), /version 207: too old/],
  ['half of a kernel', bzImage(gzipSync(whole)).subarray(0, 1100), /is the file whole/],
  ['another form', bzImage(Buffer.from('BZh91AY&SY')), /begins with 425a68393141/],
  ['no ELF file', bzImage(gzipSync(Buffer.alloc(300))), /no ELF file/],
] as const)
  test(`what is wrong with ${what} is said`, () => {
    assert.throws(() => unpackKernel(image), says)
  })

const frame = (...blocks: string[]) =>
  Buffer.concat([
    Buffer.from('02214c18', 'hex'),
    ...blocks.map(hex => {
      const block = Buffer.from(hex, 'hex')
      return Buffer.concat([withLength(Buffer.alloc(0), block.length), block])
    }),
  ])

test('LZ4: a match reaches into itself, and blocks stand alone', () => {
  // "ab", then 9 from 2 before, then "!"; the same again.
  const block = '2561620200' + '1021'
  assert.equal(unpackLz4(frame(block), 12).toString(), 'ababababab' + 'a!')
  assert.equal(unpackLz4(frame(block, block), 24).toString(), 'abababababa!'.repeat(2))
})

for (const [what, damaged] of [
  ['a match before the beginning', frame('2561620300' + '1021')],
  ['a match of nothing', frame('2561620000' + '1021')],
  ['literals that are not there', frame('f0ff')],
  ['a match without its end', frame('25616202')],
  ['more than was promised', frame('2f61620200ff001021')],
  ['a block that is longer than the frame', frame('2561620200' + '1021').subarray(0, 12)],
] as const)
  test(`LZ4: ${what} is damage`, () => {
    assert.throws(() => unpackLz4(damaged, 12), /^Error: LZ4: /)
  })
