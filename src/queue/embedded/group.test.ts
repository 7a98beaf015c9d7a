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

test('without patience nobody waits, and who comes finds nobody', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const group = new Group()
  group.come(0)
  await group.gather(() => 0)
})

test('who waits is asked again when his time is over', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const group = new Group()
  const answers = [5, 3, 0]
  const gathered = group.gather(() => answers.shift() ?? assert.fail('asked too often'))
  const left: number[] = []
  for (const ms of [4, 1, 2, 1]) {
    t.mock.timers.tick(ms)
    await Promise.resolve()
    left.push(answers.length)
  }
  assert.deepEqual(left, [2, 1, 1, 0])
  await gathered
})

test('who waits is asked again when somebody comes with whom there is less patience', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(performance, 'now', () => 1000)
  const group = new Group()
  let patienceMs = 5
  let asked = 0
  const gathered = group.gather(() => {
    asked++
    return patienceMs
  })
  for (const [comes, times] of [
    [5, 1],
    [6, 1],
    [3, 2],
    [4, 2],
  ] as const) {
    patienceMs = comes
    group.come(comes)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(asked, times)
  }
  patienceMs = 0
  group.come(0)
  await gathered
})

test('who comes with as much patience wakes nobody, however long a timer takes to be set', async t => {
  const looks = [100, 101, 101.005, 101.4, 101.401]
  t.mock.method(performance, 'now', () => looks.shift() ?? assert.fail('looked at too often'))
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const group = new Group(2)
  group.begin(2, performance.now())
  let asked = 0
  group.gather(() => {
    asked++
    return group.patienceMs(0, performance.now())
  })
  group.come(group.patienceMs(0, performance.now()))
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(asked, 1)
})
