import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../config/load.ts'
import { lifeSettings, signatureOptions } from './keep-keys.ts'

const DAY = 86_400_000

function config(...lines: string[]) {
  return parseConfig(['domain = "example.com"', ...lines].join('\n'), '/etc/ptt/ptt.toml')
}

const expirations: [lines: string[], queueAgeDays: number, expirationDays: number | undefined][] = [
  // x= is RECOMMENDED (RFC 6376 §3.5). Whoever takes a message on our last day may try for five more (RFC 5321 §4.5.4.1).
  [[], 5, 10],
  [['relay.expire = "2d"'], 2, 7],
  [['signer.queue_age = "3d"', 'relay.expire = "9d"'], 3, 8],
  [['signer.expiration = "30d"'], 5, 30],
  [['signer.expiration = "never"'], 5, undefined],
]
for (const [lines, queueAgeDays, expirationDays] of expirations) {
  const named = lines.length === 0 ? 'nothing written' : lines.join(', ')
  test(`with ${named} a signature expires after ${expirationDays ?? 'no'} days`, () => {
    const { queueAgeMs, expirationMs } = signatureOptions(config(...lines), {})
    assert.equal(queueAgeMs, queueAgeDays * DAY)
    assert.equal(expirationMs, expirationDays === undefined ? undefined : expirationDays * DAY)
  })

  test(`with ${named} a record outlives the signatures`, () => {
    const { lifetimeMs } = lifeSettings(config(...lines))
    assert.equal(lifetimeMs, (queueAgeDays + (expirationDays ?? 0)) * DAY)
  })
}

test('x= that ends while messages are queued is refused, with what to do', () => {
  assert.throws(() => signatureOptions(config('signer.expiration = "5d"'), {}), {
    message:
      'signatures would expire after 120 h, and the relay tries for 120 h: write a longer one, "never", or leave it out',
  })
})
