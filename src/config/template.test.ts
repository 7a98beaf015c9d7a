import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { z } from 'zod'
import { parseConfig, tableOf } from './load.ts'
import { configSchema, tomlKey } from './schema.ts'
import { formatTemplate } from './template.ts'

const FILE = '/etc/ptt/ptt.toml'
const minimal = parseConfig('domain = "example.com"', FILE)

test('the template says what the defaults are', () => {
  const template = formatTemplate('example.com')
  assert.deepEqual(parseConfig(template, FILE), minimal)
  // With every default written out too; tables that may be left out are only examples, and so is what has no default.
  const all = template
    .replace(/\n# \[[\s\S]*?(?=\n\n\n|$)/g, '')
    .replace(/^# (?=\w+ = )/gm, '')
    .replace(/^(?:client_ca|interval|seed|expiration|listen_starttls|max_recipient_domains) = .*\n/gm, '')
    .replace(
      /^(?:allowed_signers|keyring|mta_sts|budget_per_hour|queue_age|fields|shaping|replies|sources|routes|resolver_validates|tls) = .*\n/gm,
      '',
    )
    .replace(/^key = "dkim.*\n/m, '')
  assert.deepEqual(parseConfig(all, FILE), minimal)
})

test('every key is in it, with a description', () => {
  const template = formatTemplate('example.com')
  const check = (path: string, field: z.ZodType): void => {
    const table = tableOf(field)
    assert.ok(field.description, path)
    const [name = ''] = path.split('.').slice(-1)
    if (table === undefined) {
      assert.match(template, new RegExp(`^# .*\\n(# )?${name} = (?!undefined|false)`, 'm'))
    } else {
      assert.match(template, new RegExp(`^# .*\\n(# )?\\[${path}\\]$`, 'm'))
      for (const [key, inner] of Object.entries(table.shape)) check(`${path}.${tomlKey(key)}`, inner)
    }
  }
  for (const [key, field] of Object.entries(configSchema('example.com', '/').shape))
    check(tomlKey(key), field)
})

test('settings are written and in force', () => {
  const toml = formatTemplate('example.net', {
    '': { postmaster: 'abuse@example.net' },
    relay: { smtp_port: 2500, retry: ['1s', '2s'] },
    'submission.oauth': { issuer: 'https://i.example', audience: 'mail', jwks: 'keys.json' },
    send: { username: 'alice', password_file: 'a "b" \\ c' },
  })
  const config = parseConfig(toml, FILE)
  assert.equal(config.postmaster, 'abuse@example.net')
  assert.equal(config.relay.smtpPort, 2500)
  assert.deepEqual(config.relay.retryMs, [1000, 2000])
  assert.equal(config.send?.passwordFile, '/etc/ptt/a "b" \\ c')
  assert.equal(config.send?.ca, undefined)
  assert.deepEqual(config.submission.oauth, {
    issuer: 'https://i.example',
    audience: 'mail',
    jwks: '/etc/ptt/keys.json',
    usernameClaim: 'email',
  })
})

test('a setting that there is not is refused', () => {
  assert.throws(() => formatTemplate('example.net', { relay: { smtpPort: 1 } }), /no key smtpPort/)
  assert.throws(() => formatTemplate('example.net', { relai: {} }), /no table relai/)
  assert.throws(() => formatTemplate('example.net', { oauth: {} }), /no table oauth/)
})
