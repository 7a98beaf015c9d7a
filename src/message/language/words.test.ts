import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, LANGUAGES, wordsOf } from './words.ts'

const explanations: [status: string, words: RegExp][] = [
  ['5.1.1', /no such mailbox/],
  ['5.2.2', /full/],
  ['4.2.2', /full/],
  ['5.3.4', /larger/],
  ['4.4.1', /did not answer/],
  ['5.7.26', /could not verify/],
  // Not in the table: by subject, RFC 3463 §3.
  ['5.7.99', /policy or security/],
  ['4.3.99', /mail system there/],
  ['5.0.0', /did not take the message/],
  ['rubbish', /did not take the message/],
]

for (const [status, words] of explanations)
  test(status, () => assert.match(explain(status, wordsOf('en')), words))

for (const language of LANGUAGES) {
  test(`${language}: every status code and subject that English has`, () => {
    const [own, english] = [wordsOf(language), wordsOf('en')]
    assert.equal(own.language, language)
    assert.deepEqual(Object.keys(own.statuses).sort(), Object.keys(english.statuses).sort())
    assert.deepEqual(Object.keys(own.subjects).sort(), Object.keys(english.subjects).sort())
  })
}
