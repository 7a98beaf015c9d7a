import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mintId } from '../message/id.ts'
import { Journal } from './journal.ts'

const nowMs = Date.UTC(2025, 0, 2)
const first = mintId(nowMs, Buffer.alloc(10))
const other = mintId(nowMs, Buffer.alloc(10, 1))

function line(service: string, event: string, id: string): string {
  return JSON.stringify({ level: 'info', time: new Date(nowMs).toISOString(), service, event, id })
}

function journalOf(live: boolean, now = () => nowMs) {
  const told: string[] = []
  const journal = new Journal({
    print: text => told.push(text.trim().split(/\s+/).slice(2, 5).join(' ')),
    live,
    now,
  })
  return { journal, told }
}

const WAY = [
  `submission accepted ${first}`,
  `signer signed ${first}`,
  `relay queued ${first}`,
  `relay delivered ${first}`,
  `internet delivered ${first}`,
]

for (const live of [true, false]) {
  test(`the way of the first message is told in order, others ${live ? 'after it' : 'before it only'}`, async () => {
    const { journal, told } = journalOf(live)
    for (const [service, event, id] of [
      ['relay', 'delivered', other],
      ['signer', 'signed', first],
      ['relay', 'queued', first],
      ['internet', 'delivered', first],
    ] as const) {
      journal.hear(line(service, event, id))
    }
    const done = journal.tellHops(first, new AbortController().signal)
    journal.hear(line('relay', 'delivered', first))
    journal.hear(line('submission', 'accepted', first))
    await done
    assert.deepEqual(told, WAY)
    journal.release()
    assert.deepEqual(told.slice(5), [`relay delivered ${other}`])
    journal.hear(line('relay', 'queued', other))
    assert.deepEqual(told.slice(6), live ? [`relay queued ${other}`] : [])
  })
}

test('what is missing is not waited for longer than the signal says', async () => {
  const { journal, told } = journalOf(true)
  journal.hear(line('signer', 'signed', first))
  const ending = new AbortController()
  const done = journal.tellHops(first, ending.signal)
  ending.abort()
  await done
  assert.deepEqual(told, [`signer signed ${first}`])
})

test('a flood is counted', () => {
  let ms = nowMs
  const told: string[] = []
  const journal = new Journal({ print: text => told.push(text), live: true, now: () => ms })
  journal.release()
  for (let n = 0; n < 1000; n++) journal.hear(line('relay', 'queued', other))
  assert.equal(told.length, 50)
  ms += 1000
  journal.hear(line('relay', 'queued', other))
  assert.equal(told[50], '… and 950 lines more, which are in the log')
  assert.equal(told.length, 52)
})
