import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSynchronous } from './synchronous.ts'

test('where a file system cannot wait for the disk, no queue is called durable', () => {
  assert.throws(() => makeSynchronous('/proc', 'names'), /^Error: its queue cannot be made durable: ./)
})
