/** Two builds are the same octets, and what they made boots: by BIOS and by UEFI. */

import assert from 'node:assert/strict'
import { copyFileSync, globSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { need } from '../peers/need.ts'
import { temporaryFolder } from '../peers/program.ts'
import { type Machine, startMachine } from '../peers/qemu.ts'
import { CACHE, imageOf, needFirmware, needImages } from './images.ts'

test('the same sources and packages give the same octets, which boot by BIOS and by UEFI', async t => {
  if (!needImages(t, true) || !need(t, 'qemu-system-x86_64')) return
  const firmware = needFirmware(t)
  if (firmware === null) return
  const folder = temporaryFolder('disk')
  t.after(() => folder.remove())
  const at = (name: string) => join(folder.path, name)
  const first = await imageOf('relay', at('first'), { disks: true })
  // Another cache: nothing of the first build is taken again but the packages as they were fetched.
  mkdirSync(at('cache'))
  for (const deb of globSync('*.deb', { cwd: CACHE })) copyFileSync(join(CACHE, deb), join(at('cache'), deb))
  const second = await imageOf('relay', at('second'), { disks: true, cache: at('cache') })

  const files = [first.kernel, first.initrd, ...first.disks, first.sbom]
  assert.deepEqual(
    [second.kernel, second.initrd, ...second.disks, second.sbom].map(path => basename(path)),
    files.map(path => basename(path)),
  )
  for (const path of files)
    assert.ok(
      readFileSync(path).equals(readFileSync(join(at('second'), basename(path)))),
      `${basename(path)} is the same`,
    )
  checkSbom(readFileSync(first.sbom, 'utf8'))

  const [raw = '', qcow2 = ''] = first.disks
  const drive = (file: string, format: string) => [
    '-drive',
    `file=${file},format=${format},if=virtio,snapshot=on`,
  ]
  for (const args of [
    drive(raw, 'raw'),
    [...drive(qcow2, 'qcow2'), '-drive', `if=pflash,format=raw,readonly=on,file=${firmware}`],
  ])
    await boots(t, startMachine({ args, memoryMiB: 512 }))
})

/** As far as a relay can that has no disk for its mail: the disk it booted from is not taken for one. */
async function boots(t: TestContext, machine: Machine): Promise<void> {
  t.after(() => machine.kill())
  const { reason } = await machine.line(({ event }) => event === 'failed')
  assert.match(String(reason), /^there is no data disk: /)
  await machine.off
}

function checkSbom(text: string): void {
  const { bomFormat, components } = JSON.parse(text) as {
    bomFormat: string
    components: { name: string; version?: string; purl?: string; hashes?: { content: string }[] }[]
  }
  assert.equal(bomFormat, 'CycloneDX')
  const named = new Map(components.map(component => [component.name, component]))
  for (const name of [
    'ptt',
    'lmdb',
    'zod',
    'git',
    'libc6',
    'openssh-client',
    'systemd-boot-efi',
    'relay-initrd',
    'relay.raw',
  ])
    assert.ok(named.has(name), `${name} is in the list`)
  assert.equal(named.get('node')?.version, process.versions.node)
  assert.match(named.get('libc6')?.purl ?? '', /^pkg:deb\/debian\/libc6@[^?]+\?arch=amd64$/)
  assert.match(named.get('libc6')?.hashes?.[0]?.content ?? '', /^[0-9a-f]{64}$/)
}
