import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/peers/program.ts'
import type { Standing } from '../certificate/keeper.ts'
import { parseConfig } from '../config/load.ts'
import type { CertificatePair } from '../config/pair.ts'
import { factsOf, formatFacts } from './certificate.ts'
import { checkFiles } from './check.ts'
import { initialize } from './init.ts'
import { changedKeys } from './service.ts'

const DAY = 86_400_000
const NOW = Date.parse('2026-03-01T00:00:00Z')
const TOML = 'domain = "example.com"\n[certificate]\nterms_agreed = true\n'
const CONFIG = parseConfig(TOML, '/etc/ptt/ptt.toml')
const PAIR = { notBeforeMs: NOW - 10 * DAY, notAfterMs: NOW + 80 * DAY } as CertificatePair
const GOOD: Standing = {
  names: ['mail.example.com', 'smtp.example.com'],
  directory: 'https://ca.example/dir',
  note: { issued: null, failures: 0, retryMs: null, lastError: null, published: [] },
  pair: PAIR,
  complaint: null,
  renewalMs: NOW + 50 * DAY,
  plan: { kind: 'wait', untilMs: NOW + 50 * DAY, reason: 'it is good until then' },
}
const FAILED = {
  step: 'order',
  reason: 'ca.example: connection refused',
  rateLimited: false,
  atMs: NOW - DAY,
}

const standings: [
  what: string,
  standing: Partial<Standing>,
  nowMs: number,
  lines: string[],
  usable: boolean,
][] = [
  [
    'good',
    {},
    NOW,
    [
      'valid         2026-02-19T00:00:00Z to 2026-05-20T00:00:00Z, 80 days left',
      'renewal       2026-04-20T00:00:00Z',
    ],
    true,
  ],
  [
    'failing',
    {
      note: { ...GOOD.note, failures: 3, retryMs: NOW + 1000, lastError: FAILED },
      plan: { kind: 'wait', untilMs: NOW + 1000, reason: 'the last attempt failed' },
    },
    NOW + 79 * DAY,
    [
      'valid         2026-02-19T00:00:00Z to 2026-05-20T00:00:00Z, 1 day left',
      'renewal       2026-04-20T00:00:00Z',
      'last error    2026-02-28T00:00:00Z (order, 3 in a row): ca.example: connection refused',
      'next attempt  2026-03-01T00:00:01Z',
    ],
    true,
  ],
  [
    'expired',
    { plan: { kind: 'issue', reason: 'a third of its life is left' } },
    NOW + 80 * DAY + 1,
    [
      'valid         2026-02-19T00:00:00Z to 2026-05-20T00:00:00Z, which is over',
      'renewal       2026-04-20T00:00:00Z',
      'next attempt  now',
    ],
    false,
  ],
  [
    'none',
    {
      pair: null,
      renewalMs: null,
      complaint: '/x.key: there is no such file',
      plan: { kind: 'issue', reason: '' },
    },
    NOW,
    [
      'valid         there is none that can be used',
      'wanted        another: /x.key: there is no such file',
      'next attempt  now',
    ],
    false,
  ],
]
for (const [what, standing, nowMs, lines, usable] of standings) {
  test(`ptt certificate status: ${what}`, () => {
    const facts = factsOf({ ...GOOD, ...standing }, CONFIG, nowMs)
    assert.equal(facts.usable, usable)
    assert.deepEqual(formatFacts(facts).split('\n'), [
      'certificate   /etc/ptt/tls/submission.pem',
      'names         mail.example.com, smtp.example.com',
      'CA            https://ca.example/dir',
      ...lines,
    ])
  })
}

test('a change of what it reads is told, and of nothing else', () => {
  const other = parseConfig(
    `${TOML}names = ["smtp.example.com"]\n[submission]\nhostname = "smtp.example.com"\nmax_errors = 3\n[signer]\nselector = "x"\nzone = "com"\n`,
    '/etc/ptt/ptt.toml',
  )
  assert.deepEqual(changedKeys('certificate', CONFIG, other), [
    'certificate.names',
    'submission.hostname',
    'signer.zone',
  ])
  assert.deepEqual(changedKeys('relay', CONFIG, other), [])
})

test('ptt config check: the files of [certificate], and none of submission while the first is to come', async t => {
  const { findings, folder, config } = await deployment(t)
  assert.deepEqual(await findings('terms_agreed = true'), [])
  assert.match(
    (await findings(''))[0] ?? '',
    /^certificate\.terms_agreed: is not set: most CAs issue nothing/,
  )
  writeFileSync(join(folder, 'acme.key'), 'nonsense', { mode: 0o600 })
  const lines = ['tsig_key = "acme.key"', 'ca = "ca.pem"', 'eab_kid = "kid"', 'eab_key = "eab.key"']
  const wrong = await findings(['terms_agreed = true', ...lines].join('\n'))
  assert.deepEqual(
    wrong.map(line => line.replaceAll(folder, '').split(':', 2).join(':')),
    ['certificate.tsig_key: /acme.key', 'certificate.eab_key: /eab.key', 'certificate.ca: /ca.pem'],
  )
  rmSync(config.submission.certificate)
  assert.equal((await findings('terms_agreed = true')).length, 1, 'half a pair is an error')
  rmSync(config.submission.key)
  assert.deepEqual(await findings('terms_agreed = true'), [])
  assert.equal((await findings(null)).length, 2)
})

async function deployment(t: TestContext) {
  const { path: folder, remove } = temporaryFolder('certificate')
  t.after(remove)
  const { config, file } = await initialize({ dir: folder, domain: 'example.com' })
  /** @param lines of [certificate]; null: there is no such table */
  const findings = async (lines: string | null): Promise<string[]> => {
    const toml =
      lines === null ? 'domain = "example.com"\n' : `domain = "example.com"\n[certificate]\n${lines}\n`
    const { errors, warnings } = await checkFiles(parseConfig(toml, file), { toml, nowMs: Date.now() })
    return [...errors, ...warnings].map(({ key, message }) => `${key}: ${message}`)
  }
  return { findings, folder, config }
}
