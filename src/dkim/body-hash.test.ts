import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyHash } from './body-hash.ts'
import type { Canonicalization } from './canonicalization.ts'

const hashes: [canonicalization: Canonicalization, body: string, bodyHash: string][] = [
  // RFC 6376 §3.4.3, §3.4.4: an empty body.
  ['simple', '', 'frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY='],
  ['relaxed', '', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
  // RFC 6376 App. A.2, which prints two spaces where the message has one.
  [
    'simple',
    'Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n',
    '2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=',
  ],
]

for (const [canonicalization, body, bodyHash] of hashes)
  test(`${canonicalization} ${JSON.stringify(body)}`, () => {
    const hash = new BodyHash(canonicalization)
    hash.update(Buffer.from(body))
    assert.equal(hash.finish(), bodyHash)
  })
