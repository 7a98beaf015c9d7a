/**
 * `npm run bench:image`: how large the images are, how long from power-on to the relay's greeting, and how much memory it has
 * then, beside a bare busybox with the same kernel. In QEMU with software emulation (no KVM): the ratio is what tells. `-- 1` is
 * for one round in the place of three.
 */

import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { issue, makeAuthority } from '../src/cli/authority.ts'
import { build } from '../src/cli/image.ts'
import { writeCpio } from '../src/image/cpio.ts'
import { fetchPackages, fileOf } from '../src/image/debian.ts'
import { runTool } from '../src/image/tools.ts'
import { makeGitRepository } from '../test/peers/git-repository.ts'
import { startGitSsh } from '../test/peers/git-ssh.ts'
import { freePort } from '../test/peers/port.ts'
import { temporaryFolder } from '../test/peers/program.ts'
import { eventIs, type MachineOptions, startMachine } from '../test/peers/qemu.ts'

const DOMAIN = 'example.test'
const ROUNDS = Number(process.argv[2] ?? 3)
const MEMORY_MIB = 256
const cache = join(import.meta.dirname, '../node_modules/.cache/ptt-image')
const folder = temporaryFolder('bench-image')
const at = (name: string) => join(folder.path, name)
const repository = await makeGitRepository()
const ssh = await startGitSsh()
try {
  // Those of the others differ from it in a word.
  const { kernel, initrd } = await build({ service: 'relay', output: at('images'), cache })
  const [kernelSize, initrdSize] = [statSync(kernel).size, statSync(initrd).size]
  console.log(
    `size       ${mb(kernelSize + initrdSize)}: kernel ${mb(kernelSize)}, initramfs ${mb(initrdSize)}`,
  )
  const bare = await busybox(kernel)
  await makeConfigDisk()
  const least = await rounds(() => firstWord(bare))
  const first = await rounds(firstGreeting)
  const greetings = await rounds(greeting)
  tell('busybox', 'its first word', least)
  tell('relay', '220 at its first start', first)
  tell('relay', '220 at a later one', greetings)
  const cpu = (times: readonly Time[]) => middle(times.map(({ cpuSeconds }) => cpuSeconds))
  const [one, other] = [first, greetings].map(times => (cpu(times) / cpu(least)).toFixed(1))
  console.log(`relay      ${one} and ${other} times busybox, by the CPU of QEMU`)
  const used = middle(greetings.map(({ usedMiB }) => usedMiB))
  console.log(`relay      ${used} MiB of ${MEMORY_MIB} in use when it waits for mail`)
} finally {
  await ssh.stop()
  await repository.remove()
  folder.remove()
}

/** A machine with the same kernel that says a word and goes. */
async function busybox(kernel: string): Promise<MachineOptions> {
  const found = fileOf(fetchPackages(['busybox-static'], cache), 'bin/busybox')
  if (found === undefined) throw new Error('busybox-static has no busybox')
  const script =
    '#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\n/bin/busybox echo \'{"event":"ready"}\' > /dev/console\n/bin/busybox sleep 1000\n'
  const initrd = at('busybox-initrd')
  writeFileSync(
    initrd,
    writeCpio([
      { path: 'bin', folder: true },
      { path: 'bin/busybox', octets: readFileSync(found.path), executable: true },
      { path: 'dev', folder: true },
      { path: 'init', octets: Buffer.from(script), executable: true },
    ]),
  )
  return { kernel, initrd }
}

interface Time {
  readonly ms: number
  /** Of QEMU: on a machine that does nothing else the same as what the clock says. */
  readonly cpuSeconds: number
}

function tell(name: string, what: string, times: readonly Time[]): void {
  const [ms, cpu] = [middle(times.map(time => time.ms)), middle(times.map(time => time.cpuSeconds))]
  console.log(`${name.padEnd(10)} ${seconds(ms)} from power-on to ${what}, ${cpu.toFixed(1)} s of CPU`)
}

async function firstWord(options: MachineOptions): Promise<Time> {
  const started = performance.now()
  const machine = startMachine({ ...options, memoryMiB: MEMORY_MIB })
  try {
    await machine.line(eventIs('ready'))
    return { ms: performance.now() - started, cpuSeconds: machine.cpuSeconds() }
  } finally {
    await machine.kill()
  }
}

async function makeConfigDisk(): Promise<void> {
  const authority = await makeAuthority(DOMAIN)
  const { certificate, key } = await issue(authority, { role: 'relay' })
  await repository.commit({ [`${DOMAIN}/domain.toml`]: '' })
  const [, userKey = ''] = / -i (\S+)/.exec(ssh.command) ?? []
  for (const name of ['disk/hop', 'disk/ssh']) mkdirSync(at(name), { recursive: true })
  writeFileSync(at('disk/hop/ca.pem'), authority.certificate)
  writeFileSync(at('disk/hop/relay.pem'), certificate)
  writeFileSync(at('disk/hop/relay.key'), key)
  writeFileSync(at('disk/ssh/id_ed25519'), readFileSync(userKey))
  writeFileSync(
    at('disk/ssh/known_hosts'),
    `[10.0.2.2]:${ssh.port} ${readFileSync(join(userKey, '../host.pub'), 'utf8')}`,
  )
  blank(at('config.img'), 1)
  runTool('mformat', ['-i', at('config.img'), '-v', 'PTT', '::'])
  runTool('mcopy', ['-i', at('config.img'), '-s', at('disk/hop'), at('disk/ssh'), '::'])
}

/** The first start, with a disk that is blank: it is formatted, and the users are cloned. */
function firstGreeting(): Promise<Greeting> {
  blank(at('spool.img'), 64)
  return greeting()
}

interface Greeting extends Time {
  readonly usedMiB: number
}

/** With the disk as it is: as it was when the power went, which is a moment after the first 220. */
async function greeting(): Promise<Greeting> {
  const port = await freePort()
  const url = ssh.url(repository.path).replace('@127.0.0.1', '@10.0.2.2')
  const started = performance.now()
  const machine = startMachine({
    kernel: at('images/relay-vmlinuz'),
    initrd: at('images/relay-initrd'),
    options: `--domain=${DOMAIN} --repository=${url} --resolver=10.0.2.3`,
    disks: [at('config.img'), at('spool.img')],
    forward: `,hostfwd=tcp:127.0.0.1:${port}-:2526`,
    memoryMiB: MEMORY_MIB,
  })
  try {
    let ended = false
    void machine.off.then(() => {
      ended = true
    })
    while (!(await greets(port))) {
      if (ended) throw new Error(machine.output())
      await pause(20)
    }
    const ms = performance.now() - started
    const cpuSeconds = machine.cpuSeconds()
    await machine.line(eventIs('started'))
    return { ms, cpuSeconds, usedMiB: await memoryOf(machine) }
  } finally {
    await machine.kill()
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('data', octets => {
      socket.destroy()
      resolve(octets.toString().startsWith('220'))
    })
    socket.once('close', () => resolve(false)).on('error', () => {})
  })
}

/** What the balloon tells: all that cannot be had at once, the kernel's own included. */
async function memoryOf(machine: ReturnType<typeof startMachine>): Promise<number> {
  const balloon = { path: '/machine/peripheral/balloon' }
  await machine.command('qom-set', { ...balloon, property: 'guest-stats-polling-interval', value: 1 })
  for (;;) {
    await pause(1000)
    const { stats } = (await machine.command('qom-get', { ...balloon, property: 'guest-stats' })) as {
      stats: Record<string, number>
    }
    const available = stats['stat-available-memory']
    if (available !== undefined && available > 0) return Math.round(MEMORY_MIB - available / 2 ** 20)
  }
}

function blank(path: string, mib: number): void {
  rmSync(path, { force: true })
  writeFileSync(path, '')
  truncateSync(path, mib * 2 ** 20)
}

async function rounds<T>(once: () => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let round = 0; round < ROUNDS; round++) results.push(await once())
  return results
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

function mb(octets: number): string {
  return `${(octets / 1e6).toFixed(1)} MB`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
