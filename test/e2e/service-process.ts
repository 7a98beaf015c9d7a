/** A service of a deployment as a process of its own, as operators run it: it can be killed. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import type { EventName, Fields, Level } from '../../src/observe/event.ts'
import { pttCommand } from '../peers/sandbox.ts'
import type { Deployment, Happening, ServiceName } from './deployment.ts'

export interface ServiceProcess {
  readonly pid: number
  /** Of this process only; they are events of the deployment too. */
  readonly events: readonly Happening[]
  /** Resolves with the event `started`; rejects with all it said when it ends before that. */
  readonly started: Promise<Happening>
  /** Resolves when it has logged so many events. */
  heard(count: number): Promise<void>
  /** `kill -9`; resolves when it is gone and all it has logged was heard. */
  kill(): Promise<void>
  /** SIGTERM, and the exit status must be 0. */
  stop(): Promise<void>
}

/** `wrapper`: a program and its arguments that in the end executes the ones behind them in its own process. */
export function startProcess(
  t: TestContext,
  deployment: Deployment,
  service: ServiceName,
  wrapper: readonly string[] = [],
): ServiceProcess {
  const [itself, words] = pttCommand(service, '--config', deployment.config.file)
  const command = [...wrapper, itself, ...words]
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const { pid } = child
  assert.ok(pid !== undefined, `${program} cannot be started`)
  const ended = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const events: Happening[] = []
  const news = new EventEmitter()
  let said = ''
  let over = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const started = new Promise<Happening>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', line => {
      const happening = parse(line)
      // The last line may have been cut off by the kill: then it was never said.
      if (happening === null) return
      events.push(happening)
      news.emit('event')
      deployment.hear(happening)
      if (happening.name === 'started') resolve(happening)
    })
    ended.then(() => {
      over = true
      news.emit('event')
      reject(new Error(`${service} ended before it had started: ${said}`))
    })
  })
  // Who kills it does not want to be told that it has not started.
  started.catch(() => {})
  return {
    pid,
    events,
    started,
    async heard(count) {
      while (events.length < count) {
        assert.ok(!over, `${service} ended by itself: ${said}`)
        await once(news, 'event')
      }
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async stop() {
      child.kill('SIGTERM')
      assert.deepEqual(await ended, [0, null], said)
    },
  }
}

function parse(line: string): Happening | null {
  if (!line.endsWith('}')) return null
  const { level, time: _, service, event, ...fields } = JSON.parse(line) as Fields & { level: Level }
  return { service: String(service), name: event as EventName, level, fields }
}
