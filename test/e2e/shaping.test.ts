/** `ptt shaping explain` and `ptt suppression` as an operator types them, against a resolver that answers. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ResourceRecord } from '../../src/dns/message.ts'
import { run } from '../peers/program.ts'
import { startScriptedDns } from '../peers/scripted-dns.ts'

const PTT = join(import.meta.dirname, '../../src/cli/main.ts')

async function deployment(t: TestContext, relay: string[] = []) {
  const dns = await startScriptedDns(({ query }) => {
    const [question] = query.questions
    if (question?.type !== 'MX' || question.name !== 'gmail.test') return [{ rcode: 'NXDOMAIN' }]
    const record = (exchange: string, preference: number): ResourceRecord => ({
      name: question.name,
      type: 'MX',
      class: 'IN',
      ttlSeconds: 60,
      data: { preference, exchange },
    })
    return [
      { answers: [record('gmail-smtp-in.l.google.com', 5), record('alt1.gmail-smtp-in.l.google.com', 10)] },
    ]
  })
  const folder = mkdtempSync(join(tmpdir(), 'ptt-shaping-'))
  t.after(async () => {
    await dns.stop()
    rmSync(folder, { recursive: true })
  })
  const { host, port } = dns.endpoint
  const lines = ['domain = "example.com"', '[relay]', `resolver = ["${host}:${port}"]`, ...relay]
  writeFileSync(join(folder, 'ptt.toml'), `${lines.join('\n')}\n`)
  const ptt = (...args: string[]) =>
    run(process.execPath, [PTT, ...args, '-c', join(folder, 'ptt.toml')], { cwd: folder })
  return { folder, ptt }
}

test('ptt shaping explain: the site, the rules, and what they come to', async t => {
  const { folder, ptt } = await deployment(t, ['shaping = "own.toml"'])
  writeFileSync(
    join(folder, 'own.toml'),
    '[[shaping]]\nname = "We are new"\nconcurrency = 2\nbecause = "nobody knows us yet"\n',
  )
  const { code, output } = await ptt('shaping', 'explain', 'gmail.test')
  assert.equal(code, 0, output)
  assert.match(
    output,
    /^gmail\.test is at the site alt1\.gmail-smtp-in\.l\.google\.com,gmail-smtp-in\.l\.google\.com$/m,
  )
  assert.match(output, /^ {2}Google \(shaping\.toml:\d+\): hosts \*\.google\.com/m)
  assert.match(output, /^ {2}We are new \(own\.toml:1\): everything\n {4}because nobody knows us yet$/m)
  assert.match(output, /^ {2}concurrency +2 at first, up to 2$/m)
  assert.match(output, /^ {2}messages_per_connection +50$/m)
  const { output: json } = await ptt('shaping', 'explain', 'gmail.test', '--json')
  assert.equal(JSON.parse(json).shape.concurrency.max, 2)
})

test('ptt shaping explain: a domain that is not there, and a rule that is wrong', async t => {
  const { folder, ptt } = await deployment(t, ['shaping = "own.toml"'])
  writeFileSync(join(folder, 'own.toml'), '')
  const absent = await ptt('shaping', 'explain', 'nowhere.test')
  assert.equal(absent.code, 1)
  assert.match(absent.output, /nowhere\.test: .*5\.1\.2/)
  writeFileSync(join(folder, 'own.toml'), '[[shaping]]\nname = "A"\nmessages = 1\n')
  const wrong = await ptt('shaping', 'explain', 'gmail.test')
  assert.equal(wrong.code, 1)
  assert.match(wrong.output, /own\.toml:1: shaping\.messages: there is no such key/)
})

test('ptt suppression: added, listed, removed', async t => {
  const { ptt } = await deployment(t)
  assert.match((await ptt('suppression', 'list')).output, /Nobody is suppressed/)
  const args = ['bob@Example.net', '--sender', 'example.com']
  const added = await ptt('suppression', 'add', ...args, '--reason', 'complained', '--for', '30d')
  assert.match(added.output, /^bob@example\.net is not written to from example\.com until 20\d\d-/)
  assert.match((await ptt('suppression', 'list')).output, /bob@example\.net .*operator: complained/)
  const removed = await ptt('suppression', 'remove', ...args)
  assert.equal(removed.code, 0)
  assert.match(removed.output, /submission may refuse it for 15 minutes yet/)
  const again = await ptt('suppression', 'remove', ...args)
  assert.equal(again.code, 1)
  assert.match(again.output, /is not suppressed for example\.com/)
  assert.match(
    (await ptt('suppression', 'add', 'bob', '--sender', 'x', '--reason', 'y')).output,
    /is not an address/,
  )
})
