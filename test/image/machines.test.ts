/** The images of `ptt image build`, booted in QEMU. There is no KVM where this runs: everything takes ten times as long. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { need, needRoot } from '../peers/need.ts'
import { run, temporaryFolder } from '../peers/program.ts'
import { imageOf, needImages } from './images.ts'

test('three machines, one message', async t => {
  if (!needRoot(t, 'make a network of machines') || !needImages(t)) return
  if (
    !need(t, 'qemu-system-x86_64', 'unshare', 'ip', 'git', 'sshd', 'ssh-keygen', 'curl', 'mformat', 'xorriso')
  )
    return
  const folder = temporaryFolder('images')
  t.after(() => folder.remove())
  for (const service of ['submission', 'signer', 'relay'] as const) await imageOf(service, folder.path)
  // What is in it cannot be reached from outside, nor reach anything there.
  const { code, output } = await run(
    'unshare',
    ['--net', process.execPath, join(import.meta.dirname, 'three-machines.ts'), folder.path],
    { timeoutMs: 400_000 },
  )
  assert.equal(code, 0, output)
  t.diagnostic(output.trim().split('\n').at(-1) ?? '')
})
