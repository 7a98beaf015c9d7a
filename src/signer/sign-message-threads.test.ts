import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const program = (processes: number) => `
  import { readdirSync, readFileSync } from 'node:fs'
  import { pbkdf2 } from 'node:crypto'
  import { signOnEachCore } from ${JSON.stringify(join(import.meta.dirname, 'sign-message-threads.ts'))}
  await import(${JSON.stringify(join(import.meta.dirname, 'service.ts'))})
  signOnEachCore(${processes})
  pbkdf2('', '', 1, 1, 'sha256', () => {
    const tasks = readdirSync('/proc/self/task').map(id => readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim())
    console.log(tasks.filter(name => name === 'libuv-worker').length)
  })
`

function threads(environment: NodeJS.ProcessEnv, processes = 1): number {
  const { UV_THREADPOOL_SIZE: _, ...others } = process.env
  const args = ['--input-type=module', '-e', program(processes)]
  return Number(
    execFileSync(process.execPath, args, { env: { ...others, ...environment }, encoding: 'utf8' }),
  )
}

const linux = process.platform === 'linux'

test('as many threads as cores, two at least', { skip: !linux }, () => {
  assert.equal(threads({}), Math.max(2, availableParallelism()))
})

test('of several processes each has its part, two at least', { skip: !linux }, () => {
  assert.equal(threads({}, 2), Math.max(2, Math.ceil(availableParallelism() / 2)))
})

test('what the operator has set stays', { skip: !linux }, () => {
  assert.equal(threads({ UV_THREADPOOL_SIZE: '5' }), 5)
})
