/** A virtual machine with one of our images, in QEMU without KVM: what it says on its console, its power and its button. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { start, temporaryFolder } from './program.ts'

export interface MachineOptions {
  readonly kernel: string
  readonly initrd: string
  /** The options of the service, as they stand on the kernel command line after `--`. */
  readonly options: string
  /** Images of disks, raw. */
  readonly disks?: readonly string[]
  /** `tap0`: a tap device that is there; by default QEMU's own network, which has a DHCP server. */
  readonly tap?: string
  readonly mac?: string
  readonly memoryMiB?: number
  /** More arguments of QEMU. */
  readonly args?: readonly string[]
}

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
}

export const eventIs =
  (event: string, fields: Line = {}) =>
  (line: Line): boolean =>
    line.event === event && Object.entries(fields).every(([key, value]) => line[key] === value)

export function startMachine(options: MachineOptions): Machine {
  const folder = temporaryFolder('machine')
  const monitor = join(folder.path, 'qmp')
  const { tap, mac = '52:54:00:77:00:01', disks = [], memoryMiB = 256 } = options
  const network = tap === undefined ? 'user,id=net' : `tap,id=net,ifname=${tap},script=no,downscript=no`
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
    ...['-kernel', options.kernel, '-initrd', options.initrd],
    ...['-append', `console=ttyS0 quiet -- ${options.options}`],
    ...[
      '-netdev',
      network,
      '-device',
      `virtio-net-pci,netdev=net,mac=${mac},romfile=`,
      '-device',
      'virtio-rng-pci',
    ],
    ...disks.flatMap(file => ['-drive', `file=${file},format=raw,if=virtio,cache=writeback`]),
    ...(options.args ?? []),
  ])
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
      const socket = connect(monitor)
      await once(socket, 'connect')
      for (const execute of ['qmp_capabilities', 'system_powerdown'])
        socket.write(`${JSON.stringify({ execute })}\n`)
      // Its answer to the second one, or its end.
      let said = ''
      for await (const chunk of socket.setEncoding('utf8')) {
        said += chunk
        if (said.split('"return"').length > 2) break
      }
      socket.destroy()
    },
  }
}
