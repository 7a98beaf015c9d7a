/** `ptt certificate` as it runs: when it is ready, what SIGHUP does, and what it does when its disk fails. */

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { existsSync, mkdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startCertificate } from '../../src/certificate/service.ts'
import type { Config } from '../../src/config/schema.ts'
import { logTo } from '../../src/observe/event.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { startWorld, type World } from './acme-world.ts'

interface Run {
  readonly service: Awaited<ReturnType<typeof startCertificate>>
  /** So many lines that match, there or to come. */
  heard(pattern: RegExp, count?: number): Promise<void>
}

async function startService(t: TestContext, config: Config): Promise<Run> {
  const news = new EventEmitter()
  const lines: string[] = []
  const log = logTo((name, fields) => {
    lines.push(`${name} ${JSON.stringify(fields)}`)
    news.emit('line')
  })
  const service = await startCertificate(config, log)
  t.after(() => service.close())
  const heard = async (pattern: RegExp, count = 1) => {
    const signal = AbortSignal.timeout(30_000)
    while (lines.filter(line => pattern.test(line)).length < count) {
      await once(news, 'line', { signal }).catch(() => assert.fail(`no ${pattern}: ${lines.join('\n')}`))
    }
  }
  return { service, heard }
}

const down = async (world: World, ...lines: string[]) =>
  world.configWith(`directory = "https://127.0.0.1:${await freePort()}/dir"`, ...lines)

test('without a pair it is ready after the first attempt; SIGHUP tries again in the pause', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const { service, heard } = await startService(t, await down(world))
  await heard(/^alarm .*"step":"directory".*connection refused/)
  await service.reload()
  await heard(/^alarm .*"step":"directory".*connection refused/, 2)
  await service.close()
})

test('with a pair it is ready at once, whatever becomes of the next', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  assert.equal((await world.keeper().look()).kind, 'issued', world.alarms().join('\n'))
  const good = await startService(t, world.config)
  await good.heard(/^started .*"next":"20\d\d-/)
  await good.service.close()
  const other = await startService(t, await down(world))
  await other.heard(/^started .*"next":"now"/)
  await other.heard(/^alarm .*"until":"20\d\d-/)
})

test('a note that cannot be kept is an alarm, and the CA is not asked', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const { service, heard } = await startService(t, await down(world))
  await heard(/^alarm .*connection refused/)
  const note = join(world.config.certificate?.state ?? '', 'note.json')
  assert.ok(existsSync(note))
  // A folder in its place: it can be neither read nor replaced.
  renameSync(note, `${note}.aside`)
  mkdirSync(note)
  await service.reload()
  await heard(/^alarm .*EISDIR/)
  rmdirSync(note)
  writeFileSync(note, '{}')
  await service.reload()
  await heard(/^alarm .*connection refused/, 2)
})

test('what it needs is looked at before anything: the first renewal is weeks away', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const wrong: [lines: string[], message: RegExp][] = [
    [['tsig_key = "none.key"'], /none\.key: there is no such file/],
    [['tsig_key = "ptt.toml"'], /ptt\.toml: /],
    [['ca = "none.pem"'], /none\.pem: there is no such file/],
    [['state = "ptt.toml"'], /ptt\.toml: cannot be written/],
  ]
  writeFileSync(join(world.folder, 'ptt.toml'), 'x', { mode: 0o600 })
  for (const [lines, message] of wrong) {
    const log = logTo(name => assert.fail(name))
    await assert.rejects(startCertificate(world.configWith(...lines), log), { message })
  }
})
