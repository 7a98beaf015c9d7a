/**
 * How long ptt takes to start: until `--version` has answered, and until a service greets with 220. Of the executable of
 * `npm run build` and of the sources, in turns; medians.
 *
 *   npm run build && npm run bench:start
 */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect as connectTls } from 'node:tls'
import type { SandboxFile } from '../src/sandbox/folder.ts'

const ROUNDS = 9
const root = join(import.meta.dirname, '..')
const executable = join(root, `dist/ptt-${process.platform}-${process.arch}`)
const programs: [name: string, program: string, before: string[]][] = [
  ['executable', executable, []],
  ['sources', process.execPath, [join(root, 'src/cli/main.ts')]],
]
if (!existsSync(executable)) {
  console.error(`there is no ${executable}: npm run build`)
  process.exit(1)
}

const folder = mkdtempSync(join(tmpdir(), 'ptt-start-'))
try {
  // A deployment, whose services then start one by one.
  const made = spawnSync(executable, ['sandbox', '--folder', folder, '--once'], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(made.stdout + made.stderr)
  const file = JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')) as SandboxFile
  const cases: [name: string, measure: (program: string, before: string[]) => Promise<number>][] = [
    ['--version', version],
    ...(['submission', 'signer', 'relay'] as const)
      .map(
        name =>
          [
            `${name} to 220`,
            (program: string, before: string[]) => greeting(program, before, name, file),
          ] as const,
      )
      .map(([name, measure]): (typeof cases)[number] => [name, measure]),
  ]
  for (const [name, measure] of cases) {
    const taken = new Map(programs.map(([each]) => [each, [] as number[]]))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [each, program, before] of programs) taken.get(each)?.push(await measure(program, before))
    }
    const medians = [...taken].map(([each, times]) => `${each} ${median(times).toFixed(0)} ms`)
    console.log(`${name.padEnd(20)} ${medians.join('   ')}`)
  }
} finally {
  rmSync(folder, { recursive: true })
}

async function version(program: string, before: string[]): Promise<number> {
  const startedMs = performance.now()
  const child = spawn(program, [...before, '--version'], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const ms = performance.now() - startedMs
  await once(child, 'close')
  return ms
}

async function greeting(
  program: string,
  before: string[],
  name: 'submission' | 'signer' | 'relay',
  file: SandboxFile,
): Promise<number> {
  const startedMs = performance.now()
  const args = [...before, name, '--config', file.config]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  // The line of the log that says that it listens: asking again and again would take its CPU.
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) if (line.includes('"event":"started"')) break
  const socket =
    name === 'submission'
      ? connectTls({ host: '127.0.0.1', port: file[name].port, rejectUnauthorized: false })
      : connect(file[name].port, '127.0.0.1')
  const [octets] = (await once(socket, 'data')) as [Buffer]
  const ms = performance.now() - startedMs
  if (!octets.toString().startsWith('220 ')) throw new Error(`${name} says ${octets}`)
  socket.destroy()
  child.stdout.resume()
  child.kill('SIGTERM')
  await once(child, 'close')
  return ms
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
