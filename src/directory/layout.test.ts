import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Place, pathOfUser, placeOf } from './layout.ts'

const places: [path: string, place: Partial<Place>][] = [
  ['example.com/users/alice.toml', { kind: 'user', domain: 'example.com', localPart: 'alice' }],
  ['Example.COM/users/Alice.toml', { kind: 'user', domain: 'example.com', localPart: 'alice' }],
  ['example.com/users/first.last+tag.toml', { kind: 'user', localPart: 'first.last+tag' }],
  ['example.com/users/a b.toml', { kind: 'user', localPart: 'a b' }],
  ['example.com/users/jos\u0065\u0301.toml', { kind: 'user', localPart: 'jos\u00e9' }],
  ['b\u00fccher.example/users/alice.toml', { kind: 'user', domain: 'xn--bcher-kva.example' }],
  ['example.com/domain.toml', { kind: 'domain', domain: 'example.com' }],
  ['example.com/aliases.toml', { kind: 'aliases', domain: 'example.com' }],
  ['example.com/groups/sales.toml', { kind: 'group', domain: 'example.com', localPart: 'sales' }],
  ['example.com/groups/sales', { kind: 'problem' }],
  ['alice', { kind: 'original', localPart: 'alice' }],
  ['alice.md', { kind: 'original', localPart: 'alice.md' }],
  ['"john doe"', { kind: 'original', localPart: 'john doe' }],
  ['README.md', { kind: 'ignored' }],
  ['example.com/users/README', { kind: 'ignored' }],
  ['.gitattributes', { kind: 'ignored' }],
  ['.github/workflows/check.yml', { kind: 'ignored' }],
  ['example.com/users/.gitkeep', { kind: 'ignored' }],
  ['example.com/user/alice.toml', { kind: 'problem' }],
  ['example.com/users/alice@example.com.toml', { kind: 'problem' }],
  ['example.com/users/alice', { kind: 'problem' }],
  ['example.com/users/alice.tml', { kind: 'problem' }],
  ['example.com/users/.toml', { kind: 'ignored' }],
  ['example.com/users/a..b.toml', { kind: 'user', localPart: 'a..b' }],
  [`example.com/users/${'a'.repeat(65)}.toml`, { kind: 'problem' }],
  ['example.com/users/sales/alice.toml', { kind: 'problem' }],
  ['example.com/alias.toml', { kind: 'problem' }],
  ['[192.0.2.1]/users/alice.toml', { kind: 'problem' }],
  ['ex ample/users/alice.toml', { kind: 'problem' }],
  ['a\u0001b', { kind: 'problem' }],
]
for (const [path, place] of places)
  test(`${JSON.stringify(path.slice(0, 40))} is ${place.kind}`, () => {
    const found = placeOf(path)
    assert.deepEqual({ ...found, ...place }, found)
  })

test('the file of a user', () => {
  const path = (localPart: string) => pathOfUser({ localPart, domain: 'example.com' })
  assert.equal(path('alice'), 'example.com/users/alice.toml')
  assert.equal(path('a/b'), null)
  assert.equal(path('.alice'), null)
})
