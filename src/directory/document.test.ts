import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatDocument } from './document.ts'

test('docs/users.md is what the schema says', () => {
  const page = readFileSync(new URL('../../docs/users.md', import.meta.url), 'utf8')
  assert.ok(page === formatDocument(), 'make it anew: node src/directory/document.ts > docs/users.md')
})

test('every key is on the page', () => {
  const page = formatDocument()
  for (const key of ['password', 'senders', 'targets', 'suspended', 'members', 'limits.message_size'])
    assert.match(page, new RegExp(`^\\| \`${key}\` \\| \`.+\` \\| .+ \\|$`, 'm'))
})
