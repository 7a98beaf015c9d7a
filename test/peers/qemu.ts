/** A virtual machine with one of our images, in QEMU without KVM: what it says on its console, its power and its button. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { start, temporaryFolder } from './program.ts'

export interface MachineOptions {
  /** With `initrd`; a machine without boots from a disk. */
  readonly kernel?: string
  readonly initrd?: string
  /** The options of the service, as they stand on the kernel command line after `--`. */
  readonly options?: string
  /** Images of disks, raw. */
  readonly disks?: readonly string[]
  /** `tap0`: a tap device that is there; by default QEMU's own network, which has a DHCP server. */
  readonly tap?: string
  readonly mac?: string
  /** Of QEMU's own network: `,hostfwd=tcp:127.0.0.1:2526-:2526`. */
  readonly forward?: string
  readonly memoryMiB?: number
  /** More arguments of QEMU. */
  readonly args?: readonly string[]
}

const LONGEST_LIFE_MS = 300_000

/** A line of the console. */
export type Line = Readonly<Record<string, unknown>>

export interface Machine {
  /** What was said as JSON, in its order. */
  readonly lines: readonly Line[]
  /** All that was said. */
  output(): string
  /** The first line (past or to come) that fits; rejects with all that was said when the machine ends before. */
  line(fits: (line: Line) => boolean): Promise<Line>
  /** Resolves when the machine is off. */
  readonly off: Promise<void>
  /** The plug is pulled. */
  kill(): Promise<void>
  /** Somebody presses the power button (ACPI). */
  pressButton(): Promise<void>
  /** What it has had of the CPU of this machine, in seconds. */
  cpuSeconds(): number
  /** A command of QEMU's (QMP), and what it returns. */
  command(execute: string, args?: object): Promise<unknown>
}

export const eventIs =
  (event: string, fields: Line = {}) =>
  (line: Line): boolean =>
    line.event === event && Object.entries(fields).every(([key, value]) => line[key] === value)

function boot({ kernel, initrd, options = '' }: MachineOptions): string[] {
  if (kernel === undefined || initrd === undefined) return []
  return ['-kernel', kernel, '-initrd', initrd, '-append', `console=ttyS0 quiet -- ${options}`]
}

export function startMachine(options: MachineOptions): Machine {
  const folder = temporaryFolder('machine')
  const monitor = join(folder.path, 'qmp')
  const { tap, mac = '52:54:00:77:00:01', disks = [], memoryMiB = 256 } = options
  const network =
    tap === undefined
      ? `user,id=net${options.forward ?? ''}`
      : `tap,id=net,ifname=${tap},script=no,downscript=no`
  const qemu = start('qemu-system-x86_64', [
    ...[
      '-machine',
      'q35,accel=tcg',
      '-m',
      `${memoryMiB}`,
      '-smp',
      '1',
      '-no-reboot',
      '-nodefaults',
      '-no-user-config',
    ],
    ...['-display', 'none', '-serial', 'stdio', '-qmp', `unix:${monitor},server=on,wait=off`],
    ...boot(options),
    ...[
      '-netdev',
      network,
      '-device',
      `virtio-net-pci,netdev=net,mac=${mac},romfile=`,
      '-device',
      'virtio-rng-pci',
      '-device',
      'virtio-balloon-pci,id=balloon',
    ],
    ...disks.flatMap(file => ['-drive', `file=${file},format=raw,if=virtio,cache=writeback`]),
    ...(options.args ?? []),
  ])
  // Not a measure of speed: a machine that hangs is to end before the test does, for its console tells why.
  const hanging = setTimeout(() => qemu.process.kill('SIGKILL'), LONGEST_LIFE_MS).unref()
  const lines: Line[] = []
  const news = new EventTarget()
  let over = false
  createInterface({ input: qemu.process.stdout ?? assert.fail() }).on('line', text => {
    // The firmware's escape sequences may stand before the first one.
    const [json] = /\{".*\}/.exec(text) ?? []
    if (json === undefined) return
    lines.push(JSON.parse(json))
    news.dispatchEvent(new Event('line'))
  })
  const off = qemu.ended.then(() => {
    over = true
    clearTimeout(hanging)
    folder.remove()
    news.dispatchEvent(new Event('line'))
  })
  return {
    lines,
    output: qemu.output,
    off,
    async line(fits) {
      for (let seen = 0; ; seen++) {
        while (seen === lines.length) {
          assert.ok(!over, `the machine was off before that: ${qemu.output()}`)
          await new Promise(resolve => news.addEventListener('line', resolve, { once: true }))
        }
        const line = lines[seen]
        if (line !== undefined && fits(line)) return line
      }
    },
    async kill() {
      qemu.process.kill('SIGKILL')
      await off
    },
    async pressButton() {
      await command(monitor, 'system_powerdown')
    },
    cpuSeconds() {
      // proc(5): utime and stime, in hundredths; the name before them is in brackets.
      const fields = readFileSync(`/proc/${qemu.process.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    command: (execute, args) => command(monitor, execute, args),
  }
}

/** A connection of its own: the greeting, the capabilities, then the command; events may stand between the answers. */
async function command(monitor: string, execute: string, args: object = {}): Promise<unknown> {
  const socket = connect(monitor)
  await once(socket, 'connect')
  socket.write(
    `{"execute":"qmp_capabilities"}\n${JSON.stringify({ execute, arguments: args, id: 'asked' })}\n`,
  )
  for await (const line of createInterface({ input: socket })) {
    const answer = JSON.parse(line)
    if (answer.id !== 'asked') continue
    socket.destroy()
    assert.equal(answer.error, undefined, line)
    return answer.return
  }
  return assert.fail('QEMU has ended')
}
