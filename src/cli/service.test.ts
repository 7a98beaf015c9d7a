import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, type TestContext, test } from 'node:test'
import { need } from '../../test/peers/need.ts'
import { parseConfig } from '../config/load.ts'
import { type Deployment, initialize } from './init.ts'
import { changedKeys, explain } from './service.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'ptt-service-'))
after(() => rmSync(folder, { recursive: true }))

let count = 0
/** Every service on a port of its own, and nothing to reach. */
function deployment(settings: Record<string, Record<string, string | number>> = {}): Promise<Deployment> {
  return initialize({
    dir: join(folder, String(count++)),
    domain: 'example.com',
    settings: {
      submission: { listen: '127.0.0.1:0', ...settings.submission },
      signer: { listen: '127.0.0.1:0', primary: '127.0.0.1:1', ...settings.signer },
      relay: { listen: '127.0.0.1:0', ...settings.relay },
    },
  })
}

interface Line {
  readonly service: string
  readonly event: string
  readonly [field: string]: unknown
}

/** `ptt` as a process, and what it logs. */
class Ptt {
  readonly process: ChildProcess
  readonly lines: Line[] = []
  readonly exit: Promise<unknown[]>
  readonly #waiting = new Set<() => void>()

  constructor(t: TestContext, ...args: string[]) {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.process = child
    this.exit = once(this.process, 'exit')
    t.after(() => this.process.kill('SIGKILL'))
    createInterface(child.stdout).on('line', line => {
      this.lines.push(JSON.parse(line))
      for (const look of this.#waiting) look()
    })
  }

  count(event: string): number {
    return this.lines.filter(line => line.event === event).length
  }

  /** The first line that is so, once there is one. */
  line(found: (line: Line) => boolean): Promise<Line> {
    const { promise, resolve, reject } = Promise.withResolvers<Line>()
    const look = () => {
      const line = this.lines.find(found)
      if (line) resolve(line)
    }
    this.#waiting.add(look)
    look()
    this.process.once('exit', () => reject(new Error(`it ended after ${JSON.stringify(this.lines)}`)))
    return promise.finally(() => this.#waiting.delete(look))
  }
}

function change(file: string, from: string | RegExp, to: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(from, to))
}

test('SIGHUP reloads and tells which keys of the file have changed; SIGTERM ends it well', async t => {
  if (!need(t, 'git')) return
  const { file } = await deployment()
  const relay = new Ptt(t, 'relay', '-c', file)
  await relay.line(({ event }) => event === 'started')
  // Not a key of this service.
  change(file, '# idle = "5m"', 'idle = "1m"')
  relay.process.kill('SIGHUP')
  await relay.line(({ event }) => event === 'reloaded')
  assert.equal(relay.count('alarm'), 0)
  change(file, '# concurrency = 20', 'concurrency = 3')
  relay.process.kill('SIGHUP')
  const { keys, reason } = await relay.line(({ event }) => event === 'alarm')
  assert.deepEqual(keys, ['relay.concurrency'])
  assert.equal(reason, 'the configuration has changed: restart relay to apply it')
  change(file, 'concurrency = 3', 'concurency = 3')
  relay.process.kill('SIGHUP')
  await relay.line(
    ({ event, reason }) => event === 'alarm' && /relay\.concurency: there is no/.test(`${reason}`),
  )
  relay.process.kill('SIGTERM')
  assert.deepEqual(await relay.exit, [0, null])
  assert.equal(relay.lines.at(-1)?.event, 'stopped')
})

test('a service that cannot start says why in one line', async t => {
  if (!need(t, 'git')) return
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const address = taken.address()
  assert.ok(typeof address === 'object' && address !== null)
  const { file, config } = await deployment({ relay: { listen: `127.0.0.1:${address.port}` } })
  const { stdout, ...ended } = await outcome('relay', '-c', file)
  // That a commit is in force comes before.
  assert.doesNotMatch(stdout, /"started"/)
  assert.deepEqual(ended, {
    code: 1,
    stderr: `ptt relay: another program already listens on 127.0.0.1:${address.port}\n`,
  })
  rmSync(config.relay.hopKey)
  const { code, stderr } = await outcome('mti-gf', '-c', file)
  assert.equal(code, 1)
  assert.match(stderr, /^ptt mti-gf: .*relay\.key: there is no such file: [^\n]*\n$/)
})

test('the three together: one that is killed comes back, and all end well', async t => {
  if (!need(t, 'git')) return
  const { file } = await deployment()
  const up = new Ptt(t, 'up', '-c', file)
  // The last one to start.
  await up.line(({ service, event }) => service === 'submission' && event === 'started')
  const child = await up.line(({ event, child }) => event === 'started' && child === 'signer')
  process.kill(Number(child.pid), 'SIGKILL')
  await up.line(
    ({ event, child: name, pid }) => event === 'started' && name === 'signer' && pid !== child.pid,
  )
  assert.deepEqual(
    up.lines
      .filter(({ event, child }) => event === 'stopped' && child)
      .map(({ child, signal }) => [child, signal]),
    [['signer', 'SIGKILL']],
  )
  up.process.kill('SIGTERM')
  assert.deepEqual(await up.exit, [0, null])
  const ends = up.lines.filter(({ event, child }) => event === 'stopped' && child).map(({ child }) => child)
  assert.deepEqual(ends.slice(1), ['submission', 'signer', 'relay'])
})

test('ptt up ends when a service cannot start', async t => {
  if (!need(t, 'git')) return
  const { file, config } = await deployment()
  rmSync(config.signer.tsigKey)
  const { code, stdout, stderr } = await outcome('up', '-c', file)
  assert.equal(code, 1)
  assert.match(stderr, /^ptt signer: .*tsig\.key: there is no such file.*\nptt up: signer does not start\n$/)
  assert.doesNotMatch(stdout, /"service":"submission"/)
})

const explanations: [error: object, line: string][] = [
  [
    {
      code: 'EADDRINUSE',
      address: '::',
      port: 465,
      message: 'listen EADDRINUSE: address already in use :::465',
    },
    'another program already listens on [::]:465',
  ],
  [
    { code: 'EACCES', syscall: 'listen', address: '0.0.0.0', port: 25, message: 'listen EACCES' },
    'may not listen on 0.0.0.0:25: ports below 1024 need root or CAP_NET_BIND_SERVICE',
  ],
  [
    { code: 'EADDRNOTAVAIL', address: '192.0.2.1', port: 25 },
    'this machine does not have the address of 192.0.2.1:25: see listen',
  ],
  [{ code: 'ENOENT', path: '/x' }, 'there is no file /x: see `ptt config check`'],
  [new Error('one\n  two'), 'one two'],
]
for (const [error, line] of explanations) {
  test(`explains: ${line}`, () => assert.equal(explain(error), line))
}

test('changed keys are those the service reads, as they are written', () => {
  const FILE = '/etc/ptt/ptt.toml'
  const one = parseConfig('domain = "example.com"', FILE)
  const other = parseConfig(
    `domain = "example.net"
hop.ca = "ca.pem"
signer.ttl = "2h"
signer.seed = "seed"
submission.max_message_size = "1 MiB"
relay.resolver = "127.0.0.2"
timeouts.data = "5m"`,
    FILE,
  )
  assert.deepEqual(changedKeys('submission', one, one), [])
  const shared = ['domain', 'postmaster', 'hop.ca']
  assert.deepEqual(changedKeys('submission', one, other), [
    ...shared,
    'submission.hostname',
    'submission.max_message_size',
  ])
  assert.deepEqual(changedKeys('relay', one, other), [
    ...shared,
    'relay.hostname',
    'relay.resolver',
    'timeouts.data',
  ])
  assert.deepEqual(
    changedKeys('signer', one, other).toSorted(),
    [...shared, 'signer.seed', 'signer.ttl', 'signer.zone'].toSorted(),
  )
})

async function outcome(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code, stdout, stderr }
}
