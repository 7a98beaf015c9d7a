import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GROUP_MS, Group } from './group.ts'

test('the first commit begins at once, and so does one after a pause', () => {
  const group = new Group()
  assert.equal(group.patienceMs(0, 0), 0)
  group.begin(5, 0)
  assert.equal(group.patienceMs(1, GROUP_MS), 0)
  assert.equal(group.patienceMs(0, GROUP_MS + 1), 0)
})

test('who is alone waits for nobody', () => {
  const group = new Group()
  group.begin(1, 100)
  assert.equal(group.patienceMs(1, 101), 0)
})

test('what nobody waits for waits for the next commit', () => {
  const group = new Group()
  group.begin(1, 100)
  assert.equal(group.patienceMs(0, 101), GROUP_MS - 1)
})

test('where several came together, others are waited for; not when there are enough', () => {
  const group = new Group()
  group.begin(2, 100)
  assert.equal(group.patienceMs(1, 102), GROUP_MS - 2)
  assert.equal(group.patienceMs(31, 102), GROUP_MS - 2)
  assert.equal(group.patienceMs(32, 102), 0)
})
