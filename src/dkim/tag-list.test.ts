import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatTagList, parseTagList } from './tag-list.ts'

const lists: [text: string, tags: Record<string, string> | null][] = [
  ['v=DKIM1; k=rsa; p=MIGf', { v: 'DKIM1', k: 'rsa', p: 'MIGf' }],
  ['v=1;a=rsa-sha256;', { v: '1', a: 'rsa-sha256' }],
  // RFC 6376 §3.2: FWS around name and value is not part of them, within the value it is.
  [' h = From :\r\n\tTo ; b=AbC=\r\n dEf== ', { h: 'From :\r\n\tTo', b: 'AbC=\r\n dEf==' }],
  ['t=', { t: '' }],
  ['n=Käse', { n: 'Käse' }],
  // Tags with the same name MUST NOT occur.
  ['a=1; a=2', null],
  // Names and values are case-sensitive.
  ['a=1; A=2', { a: '1', A: '2' }],
  ['', null],
  ['a', null],
  ['=x', null],
  ['1a=x', null],
  ['a=1;; b=2', null],
  ['a=\x07', null],
]

for (const [text, tags] of lists)
  test(JSON.stringify(text), () => {
    const list = parseTagList(text)
    assert.deepEqual(list === null ? null : Object.fromEntries(list), tags)
  })

test('what is formatted is parsed as it was', () => {
  const name = fc.stringMatching(/^[a-zA-Z]\w{0,5}$/)
  const value = fc.stringMatching(/^([!-:<-~]{1,10})?$/)
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([tag]) => tag, minLength: 1 }), tags => {
      assert.deepEqual([...(parseTagList(formatTagList(tags)) ?? [])], tags)
    }),
    { seed: 6376 },
  )
})

test('any text is a list or null, nothing else', () => {
  fc.assert(
    fc.property(fc.string(), text => {
      const list = parseTagList(text)
      assert.ok(list === null || list.size > 0)
    }),
    { seed: 6376 },
  )
})
