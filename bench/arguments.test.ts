import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HELP, readArguments } from './arguments.ts'
import { CONTENDERS, ROWS } from './plan.ts'

test('nothing asked for is everything, for as long as each row says', () => {
  assert.deepEqual(readArguments([]), {
    quick: false,
    json: false,
    only: [],
    rows: [],
    seconds: null,
    rounds: null,
    profile: null,
    settings: {},
    folder: null,
    output: null,
  })
})

test('names by their beginning, with commas', () => {
  const { only, rows, quick } = readArguments(['--only', 'exim,pt', '--rows', '4k', '--quick'])
  assert.deepEqual(only, ['exim', 'exim/tls', 'ptt', 'ptt/relay'])
  assert.deepEqual(rows, ['4k'])
  assert.equal(quick, true)
})

test('keys of ptt.toml by table', () => {
  const { settings } = readArguments(['--set', 'signer.workers=2,relay.retry=1m,relay.concurrency=50'])
  assert.deepEqual(settings, { signer: { workers: 2 }, relay: { retry: '1m', concurrency: 50 } })
})

const wrong: [words: string[], message: RegExp][] = [
  [['--only', 'sendmail'], /--only sendmail: there is ptt, postfix\+opendkim/],
  [['--rows', '5k'], /--rows 5k: there is 4k/],
  [['--seconds', '0'], /--seconds 0: write a number above 0/],
  [['--rounds', 'many'], /--rounds many: write a number above 0/],
  [['--set', 'workers=2'], /--set workers=2: write for example/],
  [['--fast'], /Unknown option '--fast'/],
]
for (const [words, message] of wrong) {
  test(`${words.join(' ')} is refused`, () => assert.throws(() => readArguments(words), message))
}

test('the help names all there is to choose from', () => {
  for (const { name } of [...CONTENDERS, ...ROWS]) assert.ok(HELP.includes(name), name)
})
