import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventName, Fields, Level, Log } from './event.ts'
import { openLog } from './log.ts'

function lines(pretty: boolean, write: (log: Log) => void, level?: Level): string[] {
  const written: string[] = []
  const destination = { write: (line: string) => written.push(line) }
  write(openLog({ service: 'relay', pretty, destination, ...(level ? { level } : {}) }))
  return written
}

test('one JSON line an event', () => {
  const before = Date.now()
  const [line = '', ...others] = lines(false, log => {
    log
      .with({ id: '01ABC' })
      .event('queued', { sizeOctets: 12, tls: null, to: ['a b', 'c'], gone: undefined })
  })
  assert.deepEqual(others, [])
  assert.ok(line.endsWith('}\n'))
  const { time, ...rest } = JSON.parse(line)
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now())
  assert.deepEqual(rest, {
    level: 'info',
    service: 'relay',
    event: 'queued',
    id: '01ABC',
    sizeOctets: 12,
    tls: null,
    to: ['a b', 'c'],
  })
})

test('what no event may hold is not written, whatever its type says', () => {
  const completed = { content: [Buffer.from('Dear Bob')], added: ['Received'], key: { d: 'secret' } }
  const changes: Pick<typeof completed, 'added'> = completed
  const [line = ''] = lines(false, log => log.with({ ...changes }).event('accepted', { ...changes }))
  const { content, key, added } = JSON.parse(line)
  assert.deepEqual({ content, key, added }, { content: '(left out)', key: '(left out)', added: ['Received'] })
  assert.ok(!line.includes('secret') && !line.includes('Buffer'))
})

test('what is held is written when it is asked for, and with an error', () => {
  const said: string[] = []
  const destination = {
    write: (line: string) => said.push(JSON.parse(line).event),
    flush: () => said.push('-'),
  }
  const log = openLog({ service: 'relay', pretty: false, destination })
  log.event('delivered')
  log.with({ id: '01ABC' }).flush()
  log.event('bounced')
  log.event('alarm', { about: 'spool' })
  assert.deepEqual(said, ['delivered', '-', 'bounced', 'alarm', '-'])
})

const levels: [name: EventName, level: Level | undefined, written: Level | null][] = [
  ['delivered', undefined, 'info'],
  ['connected', undefined, null],
  ['connected', 'info', 'info'],
  ['alarm', undefined, 'error'],
  ['alarm', 'warn', 'warn'],
  ['failed', undefined, 'error'],
  ['bounced', undefined, 'warn'],
  ['peer', 'debug', null],
]
for (const [name, level, written] of levels) {
  test(`${name}${level ? ` as ${level}` : ''} is ${written ? `written as ${written}` : 'not written'}`, () => {
    const [line] = lines(false, log => log.event(name, {}, level))
    assert.equal(line === undefined ? null : JSON.parse(line).level, written)
    const [more = '{}'] = lines(false, log => log.event(name, {}, level), 'debug')
    assert.equal(JSON.parse(more).event, name)
  })
}

const readable: [fields: Fields, words: string][] = [
  [{ id: '01ABC', status: '2.0.0' }, 'id=01ABC status=2.0.0'],
  [{ sizeOctets: 12, cached: true, tls: null }, 'sizeOctets=12 cached=true tls=null'],
  [{ reason: 'try again' }, 'reason="try again"'],
  [{ reason: 'x\r\n[00:00:00.000] ERROR: relay' }, 'reason="x\\r\\n[00:00:00.000] ERROR: relay"'],
  [{ reason: 'a=b' }, 'reason="a=b"'],
  [{ reason: '\x1b[2J' }, 'reason="\\u001b[2J"'],
  [{ reason: '\x9b2J' }, 'reason="\\u009b2J"'],
  [{ reason: '' }, 'reason=""'],
  [{ to: ['a', 'b'] }, 'to="[\\"a\\",\\"b\\"]"'],
]
for (const [fields, words] of readable) {
  test(`for people: ${words}`, () => {
    const [line = '', ...others] = lines(true, log => log.event('delivered', fields))
    assert.deepEqual(others, [])
    assert.match(line, /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: relay delivered /)
    assert.equal(line.slice(line.indexOf('delivered ') + 10), `${words}\n`)
  })
}
