import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig, tableOf } from './load.ts'
import { configSchema, tomlKey } from './schema.ts'
import { formatTemplate } from './template.ts'

const FILE = '/etc/ptt/ptt.toml'
const minimal = parseConfig('domain = "example.com"', FILE)

test('the template says what the defaults are', () => {
  const template = formatTemplate('example.com')
  assert.deepEqual(parseConfig(template, FILE), minimal)
  // With every default written out too; [send] is only an example, and so is what has no default.
  const [services = ''] = template.split('\n# [send]')
  const all = services
    .replace(/^# (?=\w+ = )/gm, '')
    .replace(/^(?:interval|seed|expiration|listen_starttls|max_recipient_domains) = .*\n/gm, '')
  assert.deepEqual(parseConfig(all, FILE), minimal)
})

test('every key is in it, with a description', () => {
  const template = formatTemplate('example.com')
  for (const [key, field] of Object.entries(configSchema('example.com', '/').shape)) {
    const table = tableOf(field)
    assert.ok(field.description, key)
    if (table) assert.match(template, new RegExp(`^(# )?\\[${tomlKey(key)}\\]$`, 'm'))
    for (const [name, inner] of Object.entries(table?.shape ?? { [key]: field })) {
      assert.ok(inner.description, `${key}.${name}`)
      assert.match(template, new RegExp(`^# .*\\n(# )?${tomlKey(name)} = (?!undefined|false)`, 'm'))
    }
  }
})

test('settings are written and in force', () => {
  const toml = formatTemplate('example.net', {
    '': { postmaster: 'abuse@example.net' },
    relay: { smtp_port: 2500, retry: ['1s', '2s'] },
    send: { username: 'alice', password_file: 'a "b" \\ c' },
  })
  const config = parseConfig(toml, FILE)
  assert.equal(config.postmaster, 'abuse@example.net')
  assert.equal(config.relay.smtpPort, 2500)
  assert.deepEqual(config.relay.retryMs, [1000, 2000])
  assert.equal(config.send?.passwordFile, '/etc/ptt/a "b" \\ c')
  assert.equal(config.send?.ca, undefined)
})

test('a setting that there is not is refused', () => {
  assert.throws(() => formatTemplate('example.net', { relay: { smtpPort: 1 } }), /no key smtpPort/)
  assert.throws(() => formatTemplate('example.net', { relai: {} }), /no table relai/)
})
