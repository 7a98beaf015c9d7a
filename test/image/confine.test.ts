/** What a service in an image cannot do: image/init/confine.c, run on this machine and asked. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { needRoot } from '../peers/need.ts'
import { run, temporaryFolder } from '../peers/program.ts'
import { needImages } from './images.ts'

const INIT = join(import.meta.dirname, '../../image/init')
const EPERM = 'Operation not permitted'
const ENOSYS = 'Function not implemented'

const refused: Readonly<Record<string, string>> = {
  setuid: EPERM,
  chroot: EPERM,
  mount: EPERM,
  umount: EPERM,
  unshare: EPERM,
  // Harmless, and refused: it is the filter that does it, not the lack of a capability.
  'unshare nothing': EPERM,
  'clone user': EPERM,
  clone3: ENOSYS,
  ptrace: EPERM,
  init_module: EPERM,
  finit_module: EPERM,
  kexec_load: EPERM,
  bpf: EPERM,
  perf_event_open: EPERM,
  userfaultfd: EPERM,
  io_uring_setup: ENOSYS,
  keyctl: EPERM,
  reboot: EPERM,
  clock_settime: EPERM,
  personality: EPERM,
  mknod: EPERM,
  'packet socket': 'Address family not supported by protocol',
  vsock: 'Address family not supported by protocol',
  'raw socket': EPERM,
}
const allowed = ['tcp socket', 'unix socket', 'netlink socket', 'fork']

test('the service has no root, no capability, and no system call it never needs', async t => {
  if (!needRoot(t, 'give up being root') || !needImages(t)) return
  const folder = temporaryFolder('confine')
  t.after(() => folder.remove())
  const probe = join(folder.path, 'probe')
  const sources = [join(import.meta.dirname, 'confine-probe.c'), join(INIT, 'confine.c')]
  const headers = ['/usr/include', '/usr/include/x86_64-linux-gnu'].flatMap(path => ['-idirafter', path])
  const flags = ['-static', '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-I', INIT]
  const compiled = await run('musl-gcc', [...flags, '-o', probe, ...sources, ...headers])
  assert.equal(compiled.code, 0, compiled.output)
  const { code, output } = await run(probe, [])
  for (const [name, error] of Object.entries(refused))
    assert.ok(output.includes(`${name} ${error}\n`), `${name}: ${output}`)
  for (const name of allowed) assert.ok(output.includes(`${name} ok\n`), `${name}: ${output}`)
  assert.match(output, /^uid 100 100\n/)
  assert.match(output, /\nno_new_privs 1\nbounding 0\n$/)
  assert.equal(code, -1, 'a system call of x32 is the end of the process')
})
