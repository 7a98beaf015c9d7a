/** Five days of a relay whose world is unreliable, on a clock that jumps: everything ends, everybody hears, and a seed tells all. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../test/fuzz/random.ts'
import { startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import { HOUR_MS, START, simulate } from '../../test/peers/simulated-relay.ts'

const MESSAGES = 40
const DOMAINS = Array.from({ length: 8 }, (_, n) => `d${n}.test`)

/** What a domain's server says to RCPT, by its mood. */
const MOODS = [
  ['250 2.1.5 ok'],
  ['250 2.1.5 ok', '450 4.2.1 Later'],
  ['450 4.7.1 You are greylisted for 300 seconds', '250 2.1.5 ok'],
  ['451 4.3.0 Temporary lookup failure'],
  ['550 5.1.1 No such user', '250 2.1.5 ok'],
  ['421 4.7.0 Too many connections', '250 2.1.5 ok'],
  ['554 5.7.1 Client host blocked using bl.example.net', '250 2.1.5 ok'],
] as const

async function fiveDays(seed: number) {
  const random = new Random(seed)
  const moods = DOMAINS.map((_, n) => MOODS[n % MOODS.length] ?? MOODS[0])
  const server = await startScriptedSmtp({
    host: '0.0.0.0',
    reply: line => {
      const domain = DOMAINS.findIndex(name => line.startsWith('RCPT') && line.includes(`@${name}>`))
      const mood = moods[domain]
      return mood?.[random.below(mood.length)]
    },
  })
  const relay = simulate({
    smtpPort: server.port,
    hosts: Object.fromEntries(DOMAINS.map((name, n) => [`mx.${name}`, `127.0.${n}.1`])),
    domains: Object.fromEntries(DOMAINS.map(name => [name, [`mx.${name}`]])),
    random: () => random.next() / 2 ** 32,
  })
  try {
    for (let n = 0; n < MESSAGES; n++) {
      const recipients = Array.from({ length: 1 + random.below(4) }, (_, k) => {
        return `u${n}-${k}@${DOMAINS[random.below(DOMAINS.length)]}`
      })
      await relay.put(recipients)
      await relay.run(relay.nowMs)
      relay.nowMs += random.below(HOUR_MS)
    }
    await relay.run()
    const story = relay.events.map(({ name, fields }) => `${name} ${fields.id ?? ''} ${fields.status ?? ''}`)
    return {
      story,
      left: await relay.queue.count(),
      endMs: relay.nowMs,
      notices: relay.notices,
      events: relay.events,
    }
  } finally {
    relay.close()
    await server.stop()
  }
}

test('whatever the servers say, each recipient comes to an end, and his sender hears of it', async () => {
  const { left, endMs, notices, events } = await fiveDays(5321)
  assert.equal(left, 0)
  // The last message came after some days of its own.
  assert.ok(endMs - START < (5 * 24 + MESSAGES) * HOUR_MS)
  const recipientsOf = (name: string) =>
    events.filter(event => event.name === name).flatMap(({ fields }) => fields.recipients ?? [])
  const [delivered, bounced] = [recipientsOf('delivered'), recipientsOf('bounced')]
  assert.ok(delivered.length > 0 && bounced.length > 0)
  const ended = [...delivered, ...bounced].map(String)
  assert.equal(new Set(ended).size, ended.length, 'nobody ends twice')
  const told = notices.flatMap(({ text }) => {
    const failed = /^Action: failed/m.test(text)
    return failed ? Array.from(text.matchAll(/^Final-Recipient: rfc822; (\S+)/gm), ([, whom]) => whom) : []
  })
  assert.deepEqual(told.toSorted(), bounced.map(String).toSorted())
  // A server that blocks us bounces nobody while the message lives: only time, or an address that is wrong, does.
  for (const { name, fields } of events)
    if (name === 'bounced') assert.match(String(fields.status), /^5\.(1\.1|4\.7)$/)
})

test('the same seed, the same five days; another seed, others', async () => {
  const [one, same, other] = [await fiveDays(1), await fiveDays(1), await fiveDays(2)]
  assert.deepEqual(one.story, same.story)
  assert.notDeepEqual(one.story, other.story)
})
