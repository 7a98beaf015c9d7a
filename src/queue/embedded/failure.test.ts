import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QueueError, type QueueErrorCode } from '../queue.ts'
import { queueError } from './failure.ts'

const PLENTY = 10 ** 9

const cases: [what: string, code: unknown, freeOctets: number | Error, expected: QueueErrorCode][] = [
  ['no space, as files have it', 'ENOSPC', PLENTY, 'full'],
  ['no space, as LMDB has it', 28, PLENTY, 'full'],
  ['over quota', 'EDQUOT', PLENTY, 'full'],
  ['over quota, as LMDB has it', 122, PLENTY, 'full'],
  ['a file too large', 27, PLENTY, 'full'],
  ['a map too small', -30792, PLENTY, 'full'],
  ['an I/O error', 'EIO', 0, 'io'],
  ['an I/O error of LMDB', 5, PLENTY, 'io'],
  ['a write LMDB found cut short', 5, 4096, 'full'],
  ['one, where nothing can be asked', 5, new Error('EIO'), 'io'],
  ['no permission', 'EACCES', 0, 'io'],
  ['too many open files', 'EMFILE', 0, 'io'],
  ['a file system that is read-only', 'EROFS', 0, 'io'],
  ['one, as LMDB has it', 30, 0, 'io'],
  ['something without a code', undefined, 0, 'io'],
]
for (const [what, code, freeOctets, expected] of cases) {
  test(`${what}: ${expected}`, async () => {
    const cause = Object.assign(new Error('it failed'), code === undefined ? {} : { code })
    const error = await queueError(cause, async () => {
      if (freeOctets instanceof Error) throw freeOctets
      return freeOctets
    })
    assert.equal(error.code, expected)
    assert.equal(error.cause, cause)
    assert.match(error.message, /it failed/)
  })
}

test('an error of the queue stays what it is', async () => {
  const error = new QueueError('gone', 'no message A')
  assert.equal(await queueError(error, async () => 0), error)
})
