/** Every input of the corpus, and from each target a few mutations that are always the same. `npm run fuzz` tries more. */

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Campaign, checkStream } from './campaign.ts'
import { corpusOf } from './corpus.ts'
import { TARGETS } from './targets/all.ts'

const SEED = 5321
const MUTATIONS = 300

test('each folder of the corpus has its target, and each target its corpus', () => {
  assert.deepEqual(readdirSync(join(import.meta.dirname, 'corpus')).sort(), [...TARGETS.keys()].sort())
})

for (const [name, target] of TARGETS) {
  test(`fuzz corpus: ${name}`, () => {
    const corpus = corpusOf(name)
    assert.ok(corpus.length > 0)
    for (const { name: from, input } of corpus) {
      assert.doesNotThrow(() => target.run(input), from)
    }
    const campaign = new Campaign(target, SEED)
    while (campaign.inputs < MUTATIONS) {
      const finding = campaign.step()
      if (finding !== null)
        assert.fail(`${JSON.stringify(finding.input.toString('latin1'))}: ${finding.error}`)
    }
    const [first] = corpus
    if (first !== undefined) checkStream(target, first.input)
  })
}
