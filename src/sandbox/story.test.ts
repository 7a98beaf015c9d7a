import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { mintId } from '../message/id.ts'
import { hopOf, parseEntry, tell } from './story.ts'
import { Tail } from './tail.ts'

const nowMs = Date.UTC(2025, 0, 2, 3, 4, 5, 6)
const id = mintId(nowMs, Buffer.alloc(10))
const time = new Date(nowMs + 12).toISOString()

const entries: [line: object, told: string | null][] = [
  [
    { service: 'submission', event: 'accepted', id, reverse_path: '<a@b.test>', user: 'a@b.test' },
    `    12 ms  submission accepted  ${id} from <a@b.test> of a@b.test`,
  ],
  [
    { service: 'signer', event: 'signed', id, domain: 'b.test', selector: 'ptt' },
    `    12 ms  signer     signed    ${id} d=b.test s=ptt`,
  ],
  [{ service: 'relay', event: 'queued', id, size: 900 }, `    12 ms  relay      queued    ${id} 900 octets`],
  [
    { service: 'internet', event: 'delivered', id, recipient: 'c@d.test', dkim: 'pass' },
    `    12 ms  internet   delivered ${id} to c@d.test dkim=pass`,
  ],
  [
    { service: 'relay', event: 'deferred', id, recipients: ['c@d.test'], due: '2025', reply: '451 later' },
    `    12 ms  relay      deferred  ${id} to c@d.test until 2025 451 later`,
  ],
  [
    { service: 'ptt', event: 'stopped', child: 'relay', pid: 7, signal: 'SIGKILL', restart_ms: 100 },
    '           ptt        stopped   relay SIGKILL again in 100 ms',
  ],
  [{ service: 'ptt', event: 'stopped', child: 'relay', pid: 7, code: 0 }, null],
  [{ service: 'relay', event: 'connected', client: '127.0.0.1' }, null],
]

for (const [line, told] of entries) {
  test(`told: ${told}`, () => {
    const entry = parseEntry(JSON.stringify({ level: 'info', time, ...line }))
    assert.equal(entry && tell(entry), told)
  })
}

for (const line of ['', 'Warning: something', 'null', '{"service":1}']) {
  test(`not a line of the log: ${JSON.stringify(line)}`, () => assert.equal(parseEntry(line), null))
}

test('hops are in the order a message takes', () => {
  const at = (service: string, event: string) => {
    const entry = parseEntry(JSON.stringify({ service, event, time }))
    return entry && hopOf(entry)
  }
  assert.deepEqual(
    [
      at('submission', 'accepted'),
      at('relay', 'delivered'),
      at('internet', 'delivered'),
      at('relay', 'bounced'),
    ],
    [0, 3, 4, -1],
  )
})

test('a tail gives new lines only, whole, also when they come in pieces', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-tail-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'log')
  writeFileSync(path, 'old\n')
  const lines: string[] = []
  const third = Promise.withResolvers<void>()
  const tail = new Tail(path, line => {
    lines.push(line)
    if (lines.length === 3) third.resolve()
  })
  for (const piece of ['one\ntw', 'o\n', `${'x'.repeat(100_000)}é\n`]) appendFileSync(path, piece)
  await third.promise
  appendFileSync(path, 'last\nnot ended')
  tail.close()
  assert.deepEqual(lines, ['one', 'two', `${'x'.repeat(100_000)}é`, 'last'])
})
