import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { EventName, Fields, Log } from '../observe/event.ts'
import { nextPause, Supervisor } from './supervise.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-supervise-'))
after(() => rmSync(folder, { recursive: true }))

/** Says it is ready, and on SIGTERM that it stops, in a file that all share. */
const steady = script(
  'steady',
  `import { appendFileSync } from 'node:fs'
   const tell = what => appendFileSync(process.env.TOLD, process.argv[2] + ' ' + what + '\\n')
   process.on('SIGTERM', () => { tell('stops'); process.exit(0) })
   process.on('SIGHUP', () => tell('reloads'))
   process.on('disconnect', () => { tell('is alone'); process.exit(0) })
   tell('starts')
   process.send('ready')
   setInterval(() => {}, 1e6)`,
)
const failing = script('failing', 'process.exit(1)')
const deaf = script(
  'deaf',
  `process.on('SIGTERM', () => {}); process.send('ready'); setInterval(() => {}, 1e6)`,
)

function script(name: string, text: string): string {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(path, text)
  return path
}

interface Told {
  readonly name: EventName
  readonly fields: Fields
}

/** A log that keeps what it is told, and can be waited for. */
class Notebook implements Log {
  readonly told: Told[] = []
  readonly #fields: Fields
  readonly #waiting: Set<() => void>

  constructor(fields: Fields = {}, told: Told[] = [], waiting = new Set<() => void>()) {
    this.#fields = fields
    this.told = told
    this.#waiting = waiting
  }

  event(name: EventName, fields: Fields = {}): void {
    this.told.push({ name, fields: { ...this.#fields, ...fields } })
    for (const look of this.#waiting) look()
  }

  with(fields: Fields): Log {
    return new Notebook({ ...this.#fields, ...fields }, this.told, this.#waiting)
  }

  flush(): void {}

  until(found: (told: readonly Told[]) => boolean): Promise<void> {
    return new Promise(resolve => {
      const look = () => {
        if (!found(this.told)) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  of(name: EventName, child?: string): Told[] {
    return this.told.filter(
      event => event.name === name && (child === undefined || event.fields.child === child),
    )
  }
}

const pauses: [previousMs: number, upMs: number, pauseMs: number][] = [
  [0, 5, 100],
  [0, 60_000, 100],
  [100, 5, 200],
  [200, 29_999, 400],
  [6400, 5, 10_000],
  [10_000, 5, 10_000],
  [10_000, 30_000, 100],
]
for (const [previousMs, upMs, pauseMs] of pauses) {
  test(`after a pause of ${previousMs} ms and ${upMs} ms up, the next pause is ${pauseMs} ms`, () => {
    assert.equal(nextPause(previousMs, upMs), pauseMs)
  })
}

test('children start in order, are reloaded, and stop in the reverse order', async () => {
  const TOLD = join(folder, 'order')
  const log = new Notebook()
  const names = ['relay', 'signer', 'submission']
  const programs = names.map(name => ({ name, args: [steady, name], env: { TOLD } }))
  const supervisor = new Supervisor({ programs, log })
  await supervisor.start()
  assert.deepEqual([...supervisor.pids().keys()], names)
  assert.deepEqual(
    log.of('started').map(({ fields }) => fields.pid),
    [...supervisor.pids().values()],
  )
  supervisor.reload()
  // What is told is seen in the file only: wait for it there.
  while ((await lines(TOLD)).filter(line => line.endsWith('reloads')).length < 3) await immediately()
  await supervisor.close()
  const told = await lines(TOLD)
  assert.deepEqual(told.slice(0, 3), ['relay starts', 'signer starts', 'submission starts'])
  assert.deepEqual(told.slice(6), ['submission stops', 'signer stops', 'relay stops'])
  assert.equal(supervisor.pids().size, 0)
})

test('one that is killed is started again, the others are not', async () => {
  const TOLD = join(folder, 'again')
  const log = new Notebook()
  const programs = ['relay', 'signer'].map(name => ({ name, args: [steady, name], env: { TOLD } }))
  const supervisor = new Supervisor({ programs, log, backoff: { firstMs: 1, longestMs: 4, steadyMs: 1e6 } })
  await supervisor.start()
  for (const times of [1, 2, 3, 4]) {
    supervisor.kill('relay')
    await log.until(() => log.of('started', 'relay').length === times + 1)
  }
  await supervisor.close()
  assert.deepEqual(
    log
      .of('stopped', 'relay')
      .map(({ fields }) => [fields.signal, fields.restart_ms])
      .slice(0, 4),
    [1, 2, 4, 4].map(restartMs => ['SIGKILL', restartMs]),
  )
  assert.equal(log.of('started', 'signer').length, 1)
})

test('one that cannot start ends the start, and those before it', async () => {
  const TOLD = join(folder, 'failing')
  const log = new Notebook()
  const programs = [
    { name: 'relay', args: [steady, 'relay'], env: { TOLD } },
    { name: 'signer', args: [failing] },
    { name: 'submission', args: [steady, 'submission'], env: { TOLD } },
  ]
  const supervisor = new Supervisor({ programs, log })
  await assert.rejects(supervisor.start(), /signer does not start/)
  assert.deepEqual(await lines(TOLD), ['relay starts', 'relay stops'])
  assert.equal(log.of('started', 'submission').length, 0)
})

test('one that does not stop is killed', async () => {
  const log = new Notebook()
  const supervisor = new Supervisor({ programs: [{ name: 'relay', args: [deaf] }], log, graceMs: 10 })
  await supervisor.start()
  await supervisor.close()
  assert.equal(log.of('stopped')[0]?.fields.signal, 'SIGKILL')
  assert.equal(log.of('alarm').length, 1)
})

test('children stop when their supervisor was killed', async () => {
  const TOLD = join(folder, 'alone')
  const supervisor = script(
    'supervisor',
    `import { Supervisor } from ${JSON.stringify(join(import.meta.dirname, 'supervise.ts'))}
     const log = { event() {}, with: () => log, flush: () => {} }
     await new Supervisor({ programs: [{ name: 'relay', args: [${JSON.stringify(steady)}, 'relay'] }], log }).start()
     process.send('ready')`,
  )
  const child = spawn(process.execPath, [supervisor], {
    env: { ...process.env, TOLD },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await once(child, 'message')
  child.kill('SIGKILL')
  while (!(await lines(TOLD)).includes('relay is alone')) await immediately()
})

async function lines(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n').filter(Boolean)
}

function immediately(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
