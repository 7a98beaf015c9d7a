/** The kernel as an ELF file, which QEMU starts at the entry that its notes name (PVH), as cloud-hypervisor does. */

import assert from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { need } from '../peers/need.ts'
import { temporaryFolder } from '../peers/program.ts'
import { eventIs, startMachine } from '../peers/qemu.ts'
import { imageOf, needImages } from './images.ts'

test('a kernel that was unpacked boots', async t => {
  if (!needImages(t) || !need(t, 'qemu-system-x86_64')) return
  const folder = temporaryFolder('vmlinux')
  t.after(() => folder.remove())
  const { kernel, vmlinux, initrd, sbom } = await imageOf('relay', folder.path, { vmlinux: true })
  assert.ok(vmlinux !== undefined)
  assert.equal(readFileSync(vmlinux).toString('latin1', 1, 4), 'ELF')
  assert.ok(!readFileSync(kernel).subarray(0, 4).includes('ELF'), 'the other is as it was')
  assert.match(readFileSync(sbom, 'utf8'), /"relay-vmlinux"/)

  const disk = join(folder.path, 'disk')
  writeFileSync(disk, '')
  truncateSync(disk, 64 * 2 ** 20)
  const machine = startMachine({
    kernel: vmlinux,
    initrd,
    disks: [disk],
    options: '--domain=example.com virtio_mmio.device=4K@0xd0000000:5',
  })
  t.after(() => machine.kill())
  await machine.line(eventIs('disk', { reason: 'vda is the data disk, 64 MiB' }))
  await machine.line(eventIs('network', { reason: 'eth0 has 10.0.2.15 by DHCP' }))
  // Words for kernels without ACPI are not the service's: it gets as far as to miss what the config disk would have.
  const { reason } = await machine.line(eventIs('ended'))
  assert.match(String(reason), /status 1: power off$/)
  await machine.off
  assert.match(machine.output(), /relay\.pem: there is no such file/)
  assert.match(machine.output(), /reboot: Power down/, 'it is switched off, not reset')
})
