import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import {
  formatAuthParameter,
  formatParameters,
  formatXptt,
  type Parameter,
  parseAuthParameter,
  parseBody,
  parseParameters,
  parseSize,
  parseXptt,
} from './parameter.ts'

const seed = 5321

const lists: [text: string, parameters: Parameter[]][] = [
  ['', []],
  ['SIZE=500000', [{ keyword: 'SIZE', value: '500000' }]], // RFC 1870 §8
  [
    'BODY=8BITMIME SMTPUTF8',
    [
      { keyword: 'BODY', value: '8BITMIME' },
      { keyword: 'SMTPUTF8', value: null },
    ],
  ],
  ['AUTH=e+3Dmc2@example.com', [{ keyword: 'AUTH', value: 'e+3Dmc2@example.com' }]], // RFC 4954 §5.1
  ['AUTH=<>', [{ keyword: 'AUTH', value: '<>' }]],
  ['X-1=a', [{ keyword: 'X-1', value: 'a' }]],
  ['X=用户', [{ keyword: 'X', value: '用户' }]], // RFC 6531 §3.3
]

test('Mail-parameters, RFC 5321 §4.1.2', () => {
  for (const [text, parameters] of lists) {
    assert.deepEqual(parseParameters(text), parameters)
    assert.equal(formatParameters(parameters), text)
  }
  assert.deepEqual(parseParameters('size=1  body=7bit'), [
    { keyword: 'SIZE', value: '1' },
    { keyword: 'BODY', value: '7bit' },
  ])
})

test('what is no list of parameters', () => {
  for (const text of ['=', 'SIZE=', '-A=1', 'A=b=c', 'A\tB', 'A=\x7f', 'SIZE=1 size=2', 'A B A', 'é=1']) {
    assert.throws(() => parseParameters(text), { code: 501, status: '5.5.4' }, text)
  }
})

const invalid = (parse: (value: string) => unknown, ...values: string[]): void => {
  for (const value of values)
    assert.throws(
      () => parse(value),
      (error: unknown) => error instanceof SmtpError && error.code === 501,
      value,
    )
}

test('SIZE, RFC 1870 §3', () => {
  assert.equal(parseSize('0'), 0)
  assert.equal(parseSize('500000'), 500000)
  // Too large for any message, and still a number that is written with 20 digits at most.
  assert.equal(parseSize('99999999999999999999'), Number.MAX_SAFE_INTEGER)
  invalid(parseSize, '-1', '1e3', '1.5', '0x10', '999999999999999999999')
})

test('BODY, RFC 6152 §2', () => {
  assert.equal(parseBody('7bit'), '7BIT')
  assert.equal(parseBody('8BITMIME'), '8BITMIME')
  invalid(parseBody, '8BIT', '')
  // RFC 3030 §3: known, and not offered.
  assert.throws(() => parseBody('BinaryMime'), {
    code: 555,
    status: '5.6.3',
    message: /would alter the message/,
  })
})

test('AUTH=, RFC 4954 §5', () => {
  assert.equal(parseAuthParameter('e+3Dmc2@example.com'), 'e=mc2@example.com')
  assert.equal(parseAuthParameter('<>'), null)
  assert.equal(formatAuthParameter('e=mc2@example.com'), 'e+3Dmc2@example.com')
  assert.equal(formatAuthParameter(null), '<>')
  assert.equal(parseAuthParameter(formatAuthParameter('"a b"@example.com')), '"a b"@example.com')
  assert.equal(parseAuthParameter(formatAuthParameter('é@bücher.example')), 'é@bücher.example')
  invalid(parseAuthParameter, 'smith', '<a@b.example>', 'a@', 'a+0Db@c.example')
})

test('XPTT=', () => {
  const id = '01J9ZK4V8Y3QW5T7N2M6C1D0EX'
  const commit = '0123456789abcdef0123456789abcdef01234567'
  assert.deepEqual(parseXptt(id), { id })
  assert.deepEqual(parseXptt(`${id}/${commit}`), { id, commit })
  assert.equal(formatXptt({ id }), id)
  assert.equal(formatXptt({ id, commit }), `${id}/${commit}`)
  invalid(parseXptt, '', 'a/b', `${id}/${commit}0`, `${id}/${commit.toUpperCase()}`, 'a'.repeat(65), '../x')
})

const parameters = fc.uniqueArray(
  fc
    .tuple(
      fc.stringMatching(/^[A-Z0-9][A-Z0-9-]{0,8}$/),
      fc.option(fc.stringMatching(/^[!-<>-~é用]{1,12}$/u)),
    )
    .map(([keyword, value]): Parameter => ({ keyword, value })),
  { selector: ({ keyword }) => keyword, maxLength: 5 },
)

test('property: decode(encode(x)) = x', () => {
  fc.assert(
    fc.property(parameters, list => {
      assert.deepEqual(parseParameters(formatParameters(list)), list)
    }),
    { seed },
  )
})

test('property: encode(decode(x)) is a fixed point, and nothing but SmtpError is thrown', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[aB1= -]{0,12}$/)), text => {
      for (const parse of [parseSize, parseBody, parseAuthParameter, parseXptt])
        onlySmtpError(() => parse(text))
      onlySmtpError(() => {
        const formatted = formatParameters(parseParameters(text))
        assert.equal(formatParameters(parseParameters(formatted)), formatted)
      })
    }),
    { seed, numRuns: 500 },
  )
})

function onlySmtpError(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof SmtpError, String(error))
  }
}
