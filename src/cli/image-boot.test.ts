import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { machineCommand } from './image-boot.ts'

/** As init starts it: what is wrong is said in a line or two, and the status tells init that the machine did not start. */
const wrong: [service: string, words: string[], says: RegExp][] = [
  ['relay', ['--domain=example.com', '--destinaton=10.0.0.1'], /unknown option '--destinaton/],
  ['signer', ['--destinaton', '10.0.0.1'], /Did you mean --destination/],
  ['relay', ['--domain'], /option '--domain <domain>' argument missing/],
  ['relay', [], /domain: is missing/],
  [
    'relay',
    ['--domain=example.com', '--set', 'relay.concurency=3'],
    /relay\.concurency: there is no such key: did you mean "concurrency"/,
  ],
  ['relay', ['--domain=example.com', 'quiet'], /too many arguments/],
  ['signer', ['--domain=example.com'], /signer\.key: .*would be lost with the machine/],
  ['submission', ['--domain=example.com', '--dns-key=x'], /unknown option '--dns-key/],
  ['toaster', [], /Allowed choices are submission, signer, relay/],
]
for (const [service, words, says] of wrong) {
  test(`${service} ${words.join(' ')}`, t => {
    const home = mkdtempSync(join(tmpdir(), 'ptt-boot-'))
    t.after(() => rmSync(home, { recursive: true }))
    const main = join(import.meta.dirname, 'main.ts')
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [main, 'image', 'boot', service, '--', ...words],
      {
        encoding: 'utf8',
        env: { ...process.env, HOME: home },
      },
    )
    assert.equal(status, 1)
    assert.match(stderr, says)
    assert.equal(stdout, '')
  })
}

/** The original's words, where a service has them. */
const options: [service: 'submission' | 'signer' | 'relay', option: string][] = [
  ['submission', '--destination'],
  ['signer', '--destination'],
  ['signer', '--dns-server'],
  ['signer', '--dns-key'],
  ['signer', '--seed'],
  ['signer', '--selector'],
  ['relay', '--postmaster'],
  ['relay', '--domain'],
]
for (const [service, option] of options) {
  test(`${service} has ${option}`, () => {
    assert.ok(machineCommand(service).options.some(({ long }) => long === option))
  })
}
