/** What `dkim/` reads and canonicalizes. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { BodyHash } from '../../../src/dkim/body-hash.ts'
import {
  BodyCanonicalizer,
  type Canonicalization,
  canonicalizeField,
} from '../../../src/dkim/canonicalization.ts'
import { parseKeyRecord, sameKey } from '../../../src/dkim/key-record.ts'
import { formatTagList, parseTagList } from '../../../src/dkim/tag-list.ts'
import { sameHoweverCut, type Target } from '../target.ts'

export const tagList: Target = {
  name: 'dkim-tag-list',
  words: [
    'v=DKIM1',
    'k=rsa',
    'p=',
    'h=sha256',
    's=email',
    't=y:s',
    ';',
    '; ',
    '=',
    '\r\n ',
    '\t',
    'n=é',
    'v=1',
    'bh=',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString()
    const tags = parseTagList(text)
    const record = parseKeyRecord(text)
    if (tags === null) {
      assert.equal(record, null)
      return 'no'
    }
    assert.deepEqual(parseTagList(formatTagList(tags)), tags, 'read again')
    if (record !== null) {
      assert.doesNotMatch(record.publicKey, /[^A-Za-z0-9+/=]/)
      assert.equal(sameKey(text, text), record.publicKey !== '')
    }
    return `${tags.size} ${record === null} ${record?.testing} ${record?.publicKey === ''}`
  },
}

/** RFC 6376 §3.4.3 and §3.4.4, word for word. */
function canonicalBody(canonicalization: Canonicalization, body: string): string {
  const relaxed = canonicalization === 'relaxed'
  const lines = relaxed ? body.replace(/[ \t]+/g, ' ').replace(/ (?=\r\n|$)/g, '') : body
  const bare = lines.replace(/(?:\r\n)+$/, '')
  return bare === '' && relaxed ? '' : `${bare}\r\n`
}

export const body: Target = {
  name: 'dkim-body',
  words: ['\r\n', '\r\n\r\n', ' \r\n', '\t', ' ', '\r', '\n', ' \r', 'x'.repeat(80), '\0', 'é'],
  maxOctets: 10_000,
  run(input) {
    const text = input.toString('latin1')
    for (const canonicalization of ['relaxed', 'simple'] as const) {
      const wanted = canonicalBody(canonicalization, text)
      const canonical = sameHoweverCut(input, pieces => {
        let out = ''
        const body = new BodyCanonicalizer(canonicalization, octets => {
          out += Buffer.from(octets).toString('latin1')
        })
        for (const piece of pieces) body.update(piece)
        body.finish()
        return out
      })
      assert.equal(canonical, wanted, canonicalization)
      const hash = new BodyHash(canonicalization)
      hash.update(input)
      assert.equal(hash.finish(), createHash('sha256').update(wanted, 'latin1').digest('base64'))
    }
    return `${canonicalBody('relaxed', text).length === text.length} ${/\r(?!\n)/.test(text)} ${/[ \t]$/.test(text)} ${
      /(?:\r\n)*$/.exec(text)?.[0].length
    }`
  },
  stream(input) {
    const body = new BodyCanonicalizer((input[0] ?? 0) & 1 ? 'relaxed' : 'simple', () => {})
    return chunk => body.update(chunk)
  },
}

function canonical(canonicalization: Canonicalization, field: string): string {
  const octets = Buffer.from(field, 'latin1')
  const target = Buffer.alloc(octets.length + 2)
  return target.toString('latin1', 0, canonicalizeField(canonicalization, octets, target, 0))
}

export const fieldTarget: Target = {
  name: 'dkim-field',
  words: ['Subject:', ' :', '\r\n ', '\r\n\t', '  ', '\t', '\r\n', ':'],
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString('latin1')
    assert.equal(canonical('simple', text), text)
    const [, name = '', value = ''] = /^([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)\r\n$/.exec(text) ?? []
    if (name === '') return 'no'
    const relaxed = canonical('relaxed', text)
    // RFC 6376 §3.4.2, step by step.
    const wanted = value
      .replace(/\r\n/g, '')
      .replace(/[ \t]+/g, ' ')
      .replace(/^ | $/g, '')
    assert.equal(relaxed, `${name.toLowerCase()}:${wanted}\r\n`)
    assert.equal(canonical('relaxed', relaxed), relaxed)
    return `${wanted.length === value.length} ${value.split('\r\n').length} ${/[ \t]$/.test(value)}`
  },
}

export const dkimTargets: readonly Target[] = [tagList, body, fieldTarget]
