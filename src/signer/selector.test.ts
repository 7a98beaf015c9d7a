import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSelector, type SelectorFacts } from './selector.ts'

const facts: SelectorFacts = {
  selector: 'ptt',
  algorithm: 'rsa-sha256',
  nowMs: Date.UTC(2026, 10, 21, 23, 59),
  random: octets => Uint8Array.from({ length: octets }, (_, at) => at * 50),
  taken: () => false,
}

const templates: [template: string, selector: string, unasked: boolean][] = [
  ['{selector}-{date}-{random}-{algorithm}', 'ptt-20261121-0j4p8-rsa', true],
  ['{date}', '20261121', false],
  ['Mail.{number}', 'mail.1', false],
  ['{algorithm}{number}', 'rsa1', false],
]
for (const [template, selector, unasked] of templates)
  test(`${template} is ${selector}`, () => {
    const made = makeSelector(template, facts)
    assert.match(made.selector, /^[a-z0-9.-]+$/)
    assert.deepEqual(
      { ...made, selector: made.selector.replace(/(?<=-)[0-9a-z]{5}(?=-)/, '0j4p8') },
      { selector, unasked },
    )
  })

test('one that is taken gets a number', () => {
  const taken = new Set(['20261121', '20261121-2', 'n.1', 'n.2'])
  const has = { ...facts, taken: (selector: string) => taken.has(selector) }
  assert.equal(makeSelector('{date}', has).selector, '20261121-3')
  assert.equal(makeSelector('n.{number}', has).selector, 'n.3')
})

test('random letters are as likely each', () => {
  const { selector } = makeSelector('{random}', {
    ...facts,
    random: octets => new Uint8Array(octets).fill(255),
  })
  assert.equal(selector, 'zzzzz')
  const seen = new Set<string>()
  for (let octet = 0; octet < 256; octet++)
    seen.add(
      makeSelector('{random}', { ...facts, random: octets => new Uint8Array(octets).fill(octet) }).selector,
    )
  assert.equal(seen.size, 32)
})
