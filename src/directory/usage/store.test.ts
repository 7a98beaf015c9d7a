import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DayLimits, User } from '../directory.ts'
import { parseVerifier } from '../password.ts'
import { type Counted, type Denial, giveBack, look, reserve } from './allow.ts'
import { REMEMBERED_DAYS, Recipients } from './recipients.ts'
import { UsageError, UsageStore } from './store.ts'
import { HOUR_MS } from './window.ts'

const START = 500_000 * HOUR_MS
const DAY_MS = 24 * HOUR_MS

const verifier = parseVerifier(createHash('blake2b512').update('pencil').digest('hex'))
const userWith = (limits: DayLimits, domainLimits: DayLimits = {}, name = 'alice'): User => ({
  ...{ name: `${name}@example.com`, localPart: name, domain: 'example.com', verifier },
  ...{ senders: [], targets: [], limits, domainLimits },
})

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-usage-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'state')
}

function storeIn(t: TestContext, folder = folderOf(t)): UsageStore {
  const store = new UsageStore(folder)
  t.after(() => store.close())
  return store
}

let ids = 0
async function send(
  store: UsageStore,
  user: User,
  recipients: readonly string[] = ['bob@internet.test'],
  nowMs = START,
): Promise<Denial | Counted> {
  const id = `id ${++ids}`
  return store.commit(tables => reserve(tables, { id, user, recipients, nowMs }))
}

const isCounted = (outcome: Denial | Counted): outcome is Counted => 'claim' in outcome
const passed = async (outcome: Promise<Denial | Counted>) => isCounted(await outcome)

test('messages a day: counted over a restart, until the hour is out of the day', async t => {
  const folder = folderOf(t)
  const user = userWith({ messagesPerDay: 2 })
  const first = storeIn(t, folder)
  assert.equal(await passed(send(first, user)), true)
  assert.equal(await passed(send(first, user)), true)
  await first.close()
  const store = storeIn(t, folder)
  const denial = await send(store, user)
  assert.deepEqual(denial, {
    ...{ of: 'alice@example.com', counted: 'messages', limit: 2, used: 2, wanted: 1 },
    retryMs: START + DAY_MS,
  })
  assert.deepEqual(await store.read(tables => look(tables, user, START)), denial)
  assert.equal(await passed(send(store, user, undefined, START + DAY_MS - 1)), false)
  assert.equal(await passed(send(store, user, undefined, START + DAY_MS)), true)
  assert.equal(await store.read(tables => look(tables, user, START + DAY_MS)), null)
})

test('two at once do not take the same last place, and one that is given back can be taken again', async t => {
  const store = storeIn(t)
  const user = userWith({ messagesPerDay: 3 })
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => send(store, user)))
  const counted = outcomes.filter(isCounted)
  assert.equal(counted.length, 3)
  const [refused] = counted
  assert.ok(refused)
  await store.commit(tables => giveBack(tables, refused))
  assert.equal(await passed(send(store, user)), true)
  assert.equal(await passed(send(store, user)), false)
})

test('all users of a domain together', async t => {
  const store = storeIn(t)
  const total = { recipientsPerDay: 3 }
  const [alice, bob] = [userWith({}, total), userWith({ messagesPerDay: 9 }, total, 'bob')]
  assert.equal(await passed(send(store, alice, ['a@x.test', 'b@x.test'])), true)
  const denial = await send(store, bob, ['a@x.test', 'b@x.test'])
  assert.ok(!isCounted(denial))
  assert.deepEqual([denial.of, denial.used, denial.wanted], ['example.com', 2, 2])
  // What was denied by the domain has not been counted for the user either.
  assert.equal(await store.read(({ usage }) => usage.get('bob@example.com')), undefined)
  assert.equal(await passed(send(store, bob, ['a@x.test'])), true)
})

test('recipients who were not written to before', async t => {
  const store = storeIn(t)
  const user = userWith({ newRecipientsPerDay: 2 })
  assert.equal(await passed(send(store, user, ['a@x.test', 'b@x.test', 'a@x.test'])), true)
  assert.equal(await passed(send(store, user, ['a@x.test', 'b@x.test'])), true, 'known by now')
  assert.equal(await passed(send(store, user, ['a@x.test', 'c@x.test'])), false)
  const bob = userWith({ newRecipientsPerDay: 2 }, {}, 'bob')
  assert.equal(await passed(send(store, bob, ['a@x.test', 'c@x.test'])), true, 'each user has his own')
  const later = START + DAY_MS
  assert.equal(await passed(send(store, user, ['c@x.test', 'd@x.test'], later)), true)
  assert.equal(await passed(send(store, user, ['e@x.test'], later)), false)
  const muchLater = START + REMEMBERED_DAYS * DAY_MS
  assert.equal(await passed(send(store, user, ['a@x.test', 'b@x.test'], muchLater)), true)
  assert.equal(await passed(send(store, user, ['a@x.test', 'c@x.test'], muchLater)), true)
  assert.equal(await passed(send(store, user, ['e@x.test'], muchLater)), false, 'a and b were forgotten')
})

test('who was written to only by a message that was refused is new; by another one meanwhile, is not', async t => {
  const store = storeIn(t)
  const user = userWith({ newRecipientsPerDay: 2 })
  const first = await send(store, user, ['a@x.test', 'b@x.test'])
  assert.equal(await passed(send(store, user, ['b@x.test'])), true)
  assert.ok(isCounted(first))
  await store.commit(tables => giveBack(tables, first))
  assert.equal(await passed(send(store, user, ['b@x.test', 'c@x.test'])), true)
  assert.equal(await passed(send(store, user, ['a@x.test'])), false)
})

test('nobody can read from the folder whom a user has written to', async t => {
  const folder = folderOf(t)
  const store = storeIn(t, folder)
  const name = 'whistleblower'
  await send(store, userWith({ newRecipientsPerDay: 5 }), [`${name}@paper.test`])
  await store.close()
  const file = readFileSync(join(folder, 'usage.mdb'))
  for (const algorithm of ['sha256', 'md5'])
    assert.equal(file.indexOf(createHash(algorithm).update(`${name}@paper.test`).digest()), -1)
  assert.equal(file.toString('latin1').includes(name), false)
  for (const path of ['usage.mdb', 'usage.mdb-lock'])
    assert.equal(statSync(join(folder, path)).mode & 0o77, 0)
  assert.equal(statSync(folder).mode & 0o77, 0)
})

test('what is over is taken out: accounts, and recipients of long ago', async t => {
  const store = storeIn(t)
  const limits = { newRecipientsPerDay: 1000 }
  for (let index = 0; index < 30; index++)
    await send(store, userWith(limits, {}, `user${index}`), [`a${index}@x.test`, `b${index}@x.test`])
  const sizes = () =>
    store.read(({ usage, recipients, known }) => [
      usage.getKeysCount(),
      recipients.getKeysCount(),
      known.getKeysCount(),
    ])
  assert.deepEqual(await sizes(), [30, 60, 30])
  for (let index = 0; index < 20; index++)
    await send(store, userWith(limits), ['a@x.test'], START + REMEMBERED_DAYS * DAY_MS)
  assert.deepEqual(await sizes(), [1, 1, 1])
})

test('of a user with very many recipients some are forgotten, never those of the message itself', async t => {
  const store = storeIn(t)
  await store.commit(tables => {
    const memory = new Recipients(tables, tables.secret, 10)
    const bob = memory.keysOf('bob', ['one@x.test'])
    memory.remember(bob, 1, 'id')
    for (let index = 0; index < 30; index++) {
      const keys = memory.keysOf('alice', [`${index}@x.test`, `${index}@y.test`])
      memory.remember(keys, 1, 'id')
      assert.equal(memory.countNew(keys, 1), 0)
      assert.ok(tables.recipients.getKeysCount() <= 11)
    }
    assert.equal(memory.countNew(bob, 1), 0)
    assert.deepEqual(tables.known.getKeysCount(), 2)
  })
})

test('an event at four fifths, for the user and for the domain', async t => {
  const store = storeIn(t)
  const user = userWith({ messagesPerDay: 5 }, { recipientsPerDay: 10 })
  const told: string[] = []
  for (let count = 0; count < 5; count++) {
    const outcome = await send(store, user, ['a@x.test', 'b@x.test'])
    assert.ok(isCounted(outcome))
    told.push(
      outcome.notices.map(({ of, counted, used, limit }) => `${of} ${used}/${limit} ${counted}`).join(),
    )
  }
  const at = 'alice@example.com 4/5 messages,example.com 8/10 recipients'
  assert.deepEqual(told, ['', '', '', at, ''])
})

const broken: [name: string, spoil: (file: string) => void, says: RegExp][] = [
  ['something else', file => writeFileSync(file, 'x'.repeat(100_000)), /is damaged, or something else/],
  ['cut off', file => truncateSync(file, 8192 + 100), /is damaged, or something else/],
  ['cut off in the first page', file => truncateSync(file, 100), /is damaged, or something else/],
]
for (const [name, spoil, says] of broken)
  test(`a file that is ${name} is an error, not the end of the process; and heals`, async t => {
    const folder = folderOf(t)
    const user = userWith({ messagesPerDay: 1000, newRecipientsPerDay: 1000 })
    const before = storeIn(t, folder)
    for (let count = 0; count < 20; count++) await send(before, user, [`${count}@x.test`])
    await before.close()
    const file = join(folder, 'usage.mdb')
    const whole = readFileSync(file)
    spoil(file)
    const store = storeIn(t, folder)
    await assert.rejects(send(store, user), error => error instanceof UsageError && says.test(error.message))
    await assert.rejects(
      store.read(tables => look(tables, user, START)),
      UsageError,
    )
    writeFileSync(file, whole)
    assert.equal(await passed(send(store, user)), true)
    assert.equal(await store.read(({ usage }) => usage.get(user.name)?.hours[0]?.messages), 21)
  })

test('a folder that cannot be made', async t => {
  const folder = folderOf(t)
  mkdirSync(join(folder, '..'), { recursive: true })
  writeFileSync(folder, 'a file')
  chmodSync(folder, 0o400)
  const store = storeIn(t, folder)
  await assert.rejects(send(store, userWith({ messagesPerDay: 1 })), UsageError)
})
