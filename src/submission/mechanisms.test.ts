import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '../config/load.ts'
import { MECHANISMS } from '../config/tables/submission.ts'
import type { TlsFacts } from '../net/wire.ts'
import { usableMechanisms } from './mechanisms.ts'

const configured = parseConfig('domain = "example.com"', '/etc/ptt/ptt.toml').submission.auth

const TLS: TlsFacts = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  authorized: false,
  authorizationError: 'no certificate',
  peerNames: [],
  peerMailboxes: [],
  servername: null,
  chain: () => [],
  resumed: false,
}
const shown = { ...TLS, authorized: true, peerMailboxes: ['alice@example.com'] }
const all = { tokens: true, scram: true }

const cases: [
  what: string,
  client: Parameters<typeof usableMechanisms>[1],
  means: typeof all,
  offered: string,
][] = [
  [
    'by default, under TLS 1.3',
    { tls: TLS, bindable: true },
    { tokens: false, scram: true },
    'SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN',
  ],
  [
    'under TLS 1.2',
    { tls: { ...TLS, version: 'TLSv1.2' }, bindable: false },
    { tokens: false, scram: true },
    'SCRAM-SHA-256 PLAIN LOGIN',
  ],
  [
    'some have no verifier for SCRAM',
    { tls: TLS, bindable: true },
    { tokens: false, scram: false },
    'PLAIN LOGIN',
  ],
  [
    'an issuer',
    { tls: TLS, bindable: true },
    all,
    'SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER XOAUTH2 PLAIN LOGIN',
  ],
  [
    'a certificate',
    { tls: shown, bindable: false },
    all,
    'SCRAM-SHA-256 OAUTHBEARER XOAUTH2 EXTERNAL PLAIN LOGIN',
  ],
  [
    'a certificate of nobody in particular',
    { tls: { ...shown, peerMailboxes: [] }, bindable: false },
    { tokens: false, scram: false },
    'PLAIN LOGIN',
  ],
  [
    'a certificate of another CA',
    { tls: { ...shown, authorized: false }, bindable: false },
    { tokens: false, scram: false },
    'PLAIN LOGIN',
  ],
]
for (const [what, client, means, offered] of cases)
  test(`offered: ${what}`, () => {
    assert.equal(usableMechanisms(configured, client, means).join(' '), offered)
  })

test('docs/sign-in.md has them all', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/sign-in.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([A-Z0-9-]+)` \| (on|off) \|/gm)].map(([, name, state]) => [
    name,
    state,
  ])
  assert.deepEqual(
    rows,
    MECHANISMS.map(name => [name, configured.includes(name) ? 'on' : 'off']),
  )
})

test('nothing is offered that is not configured', () => {
  const client = { tls: shown, bindable: true }
  assert.deepEqual(usableMechanisms(['SCRAM-SHA-1', 'EXTERNAL'], client, { tokens: true, scram: false }), [
    'SCRAM-SHA-1',
    'EXTERNAL',
  ])
  assert.deepEqual(usableMechanisms(['SCRAM-SHA-1-PLUS'], { tls: TLS, bindable: false }, all), [])
})
