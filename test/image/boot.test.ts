/** A machine from power-on to power-off, by DHCP, with a program in the place of ptt that looks at what there is around it. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { wrapped } from '../../src/image/code-cache.ts'
import { need } from '../peers/need.ts'
import { temporaryFolder } from '../peers/program.ts'
import { eventIs, startMachine } from '../peers/qemu.ts'
import { imageOf, needImages } from './images.ts'

test('a machine gives its service what it needs, and nothing else', async t => {
  if (!needImages(t) || !need(t, 'qemu-system-x86_64')) return
  const folder = temporaryFolder('boot')
  t.after(() => folder.remove())
  const bundle = join(folder.path, 'bundle')
  mkdirSync(bundle)
  copyFileSync(join(import.meta.dirname, 'probe.cjs'), join(bundle, 'main.cjs'))
  for (const [name, text] of [
    ['main.wrapped', wrapped('')],
    ['lmdb.node', ''],
    ['packages.json', '[]'],
    ['LICENSES.txt', ''],
  ] as const)
    writeFileSync(join(bundle, name), text)
  const image = await imageOf('submission', join(folder.path, 'image'), { bundle })

  // It holds something, though it begins with zeros: no label, no table, no file system that anybody knows.
  const disk = join(folder.path, 'disk')
  const octets = Buffer.alloc(8 * 2 ** 20)
  octets.write('precious', 3 * 2 ** 20)
  writeFileSync(disk, octets)

  const machine = startMachine({
    ...image,
    options: '--domain=example.com --set "relay.language=de fr" initrd=/initrd',
    disks: [disk],
  })
  t.after(() => machine.kill())
  const seen = await machine.line(eventIs('seen'))
  await machine.line(
    eventIs('ended', { level: 'error', reason: 'the service has ended with status 3: power off' }),
  )
  await machine.off

  assert.deepEqual(seen.words, [
    'image',
    'boot',
    'submission',
    '--',
    '--domain=example.com',
    '--set',
    'relay.language=de fr',
  ])
  assert.deepEqual(seen.ids, [100, 100, '100'])
  assert.deepEqual(seen.capabilities, Array(5).fill('0'.repeat(16)))
  assert.deepEqual(seen.confined, ['1', '2'])
  assert.deepEqual(seen.processes, [], 'no process of others is seen')
  assert.deepEqual(seen.written, ['EROFS', 'EROFS', 'EROFS', 'EROFS', 'EACCES', 'EACCES', 'ENOENT'])
  assert.deepEqual(seen.executed, ['EACCES', 'EACCES'], 'what can be written cannot be executed')
  assert.equal(seen.sys, 0)
  assert.deepEqual(seen.devices, ['fd', 'full', 'null', 'random', 'urandom', 'zero'])
  assert.deepEqual([seen.shells, seen.setId], [[], []])
  assert.equal(seen.modules, '1')
  // Who renews the lease.
  assert.deepEqual(seen.listening, ['udp 68'])
  assert.deepEqual([seen.hostname, seen.nameserver], ['submission', 'nameserver 10.0.2.3'])
  for (const [name, says] of [
    ['git', /^0: git version/],
    ['https', /^\d+: .*usage: git remote-curl/],
    ['ssh', /^0: OpenSSH/],
    ['gpg', /^0: gpg/],
    ['keygen', /^\d+: .*(usage|unknown option|illegal option)/i],
  ] as const)
    assert.match(String(seen[name]), says)
  assert.equal(seen.trusted, 'done')
  const digest = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')
  assert.equal(digest(readFileSync(disk)), digest(octets), 'a disk that holds something is left alone')
  t.diagnostic(JSON.stringify(seen.memoryKiB))
})
