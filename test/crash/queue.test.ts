/**
 * The queue's promise, with the process killed at any moment: what was acknowledged is there, what was settled is not,
 * and what is there is whole.
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { newMessage, octets } from '../../src/queue/contract.ts'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { JOURNAL_STEPS, SPACE_STEPS, STEPS } from '../../src/queue/embedded/step.ts'
import type { Message, Queue } from '../../src/queue/queue.ts'
import { killedAt } from './kill-at-step.ts'
import { contentSeed, DEFERRED_MS, NOW_MS, randoms, sizeOf } from './queue-model.ts'

/** How often it is killed at random; a long run has hundreds: `PTT_KILLS=200`. */
const ROUNDS = Number(process.env.PTT_KILLS ?? 16)
const LATEST_KILL = 400

/** What was said of each message, over all rounds. */
interface Said {
  readonly put: Set<string>
  /** Begun: it may be there or not, whatever was acknowledged before. */
  readonly leaving: Set<string>
  readonly gone: Set<string>
  /** `id destination`. */
  readonly settled: Set<string>
  readonly deferred: Set<string>
}

/**
 * Kills the load with SIGKILL when it has said `lines` lines, or leaves that to the `wrapper`; returns all it said until then.
 */
async function killedAfter(
  folder: string,
  round: number,
  lines: number,
  wrapper: readonly string[] = [],
): Promise<string[]> {
  const script = join(import.meta.dirname, 'queue-load.ts')
  const [program = '', ...args] = [...wrapper, process.execPath, script, folder, String(round)]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  let seen = 0
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    for (const character of chunk) if (character === '\n') seen++
    if (seen >= lines) child.kill('SIGKILL')
  })
  const [code, signal] = await new Promise<[number | null, string | null]>(resolve => {
    child.on('close', (...how) => resolve(how))
  })
  assert.deepEqual([code, signal], [null, 'SIGKILL'])
  // The last line may have been cut off by the kill: then it was never said.
  return text.split('\n').slice(0, -1)
}

function note(said: Said, line: string): void {
  const [what, id = '', destination = ''] = line.split(' ')
  const part = `${id} ${destination}`
  switch (what) {
    case 'put':
      said.put.add(id)
      break
    case 'settling':
    case 'removing':
      said.leaving.add(id)
      break
    case 'settled':
      said.settled.add(part)
      break
    case 'deferred':
      said.deferred.add(part)
      break
    case 'removed':
      said.gone.add(id)
      break
    default:
      assert.ok(what === 'putting' || what === 'deferring', `unknown line: ${line}`)
  }
}

async function listAll(queue: Queue): Promise<Map<string, Message>> {
  const messages = new Map<string, Message>()
  for (let after: string | undefined; ; ) {
    const page = await queue.list({ limit: 100, ...(after === undefined ? {} : { after }) })
    for (const message of page) messages.set(message.id, message)
    after = page.at(-1)?.id
    if (after === undefined) return messages
  }
}

/** Everything that must hold of the spool. */
async function check(queue: Queue, folder: string, said: Said): Promise<void> {
  const messages = await listAll(queue)
  assert.equal(await queue.count(), messages.size)
  for (const id of said.put) {
    assert.ok(messages.has(id) || said.leaving.has(id), `${id} was acknowledged and is lost`)
  }
  for (const id of said.gone) assert.ok(!messages.has(id), `${id} was removed and is there`)
  for (const part of said.settled) {
    const [id = '', destination] = part.split(' ')
    const recipients = messages.get(id)?.recipients.filter(recipient => recipient.destination === destination)
    assert.ok(!recipients?.some(({ state }) => state === 'pending'), `${part} was settled and is pending`)
  }
  for (const part of said.deferred) {
    const [id = '', destination] = part.split(' ')
    for (const recipient of messages.get(id)?.recipients ?? []) {
      if (recipient.destination !== destination || recipient.state !== 'pending') continue
      assert.ok(recipient.attempts > 0 && recipient.dueMs === DEFERRED_MS, `${part} was deferred and is not`)
    }
  }
  let files = 0
  for (const [id, { sizeOctets, recipients }] of messages) {
    const content = await queue.content(id)
    assert.equal(sizeOctets, sizeOf(id))
    assert.equal(
      Buffer.compare(content, octets(sizeOf(id), contentSeed(id))),
      0,
      `${id} is not as it was put`,
    )
    assert.ok(
      recipients.some(({ state }) => state === 'pending'),
      `${id} has nothing to deliver`,
    )
    if (sizeOctets > 65_536) files++
  }
  // What is in line is what is pending, neither more nor less.
  const parts = [...messages.values()].flatMap(({ id, recipients }) =>
    recipients.filter(({ state }) => state === 'pending').map(({ destination }) => `${id} ${destination}`),
  )
  const jobs = await queue.lease(DEFERRED_MS, Number.POSITIVE_INFINITY)
  const leased = jobs.map(({ message, destination }) => `${message.id} ${destination}`)
  assert.deepEqual(leased.toSorted(), [...new Set(parts)].toSorted())
  for (const job of jobs) queue.release(job)
  await queue.sweep(NOW_MS)
  assert.equal(readdirSync(join(folder, 'content')).length, files)
  const known = [...said.put].at(-1)
  if (known) assert.equal(await queue.put(newMessage(known, ['a@one.example']), []), 'duplicate')
}

const nothingSaid = (): Said => ({
  put: new Set(),
  leaving: new Set(),
  gone: new Set(),
  settled: new Set(),
  deferred: new Set(),
})

/** `watched`: another process has the spool open while this one is killed, as `ptt queue` may. */
async function rounds(seed: number, watched: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-crash-queue-'))
  const random = randoms(seed)
  const said = nothingSaid()
  let queue = await openEmbedded({ folder })
  try {
    for (let round = 0; round < ROUNDS; round++) {
      if (!watched) await queue.close()
      const lines = Math.floor(random.next().value * LATEST_KILL)
      for (const line of await killedAfter(folder, round, lines)) note(said, line)
      if (!watched) queue = await openEmbedded({ folder })
      await check(queue, folder, said)
    }
    assert.ok(said.put.size > 0 && said.settled.size > 0 && said.deferred.size > 0 && said.gone.size > 0)
  } finally {
    await queue.close()
    rmSync(folder, { recursive: true })
  }
}

for (const watched of [false, true]) {
  const how = watched ? 'another process has the spool open' : 'nobody else has the spool open'
  test(`${ROUNDS} times killed under load, ${how}`, { timeout: 10_000 * (ROUNDS + 10) }, () =>
    rounds(watched ? 2 : 1, watched),
  )
}

for (const step of [...STEPS, ...JOURNAL_STEPS]) {
  test(`killed at "${step}" under load`, { timeout: 120_000 }, async t => {
    const folder = mkdtempSync(join(tmpdir(), 'ptt-crash-step-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const said = nothingSaid()
    for (const [round, count] of [0, 1, 17].entries()) {
      const lines = await killedAfter(folder, round, Number.POSITIVE_INFINITY, killedAt(step, count))
      for (const line of lines) note(said, line)
      const queue = await openEmbedded({ folder })
      try {
        await check(queue, folder, said)
      } finally {
        await queue.close()
      }
    }
    assert.ok(said.put.size > 0)
  })
}

for (const step of SPACE_STEPS) {
  test(`killed at "${step}", while the database is written anew`, async t => {
    const folder = mkdtempSync(join(tmpdir(), 'ptt-crash-space-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const script = join(import.meta.dirname, 'queue-shrink.ts')
    const [program = '', ...args] = [...killedAt(step, 0), process.execPath, script, folder]
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    assert.deepEqual(await once(child, 'close'), [null, 'SIGKILL'])
    const queue = await openEmbedded({ folder, compactAboveOctets: 1024 * 1024, mostStories: 0 })
    t.after(() => queue.close())
    const left = Array.from({ length: 5 }, (_, n) => `M${195 + n}`)
    assert.deepEqual([...(await listAll(queue)).keys()], left)
    assert.equal(await queue.put(newMessage('M100', ['a@one.example']), []), 'duplicate')
    for (const id of left) assert.equal(Buffer.compare(await queue.content(id), octets(50_000)), 0)
    assert.equal((await queue.lease(1000, 10)).length, 5)
    await queue.sweep(1000)
    assert.deepEqual(
      readdirSync(folder)
        .filter(name => name.includes('.mdb'))
        .toSorted(),
      ['queue-2.mdb', 'queue-2.mdb-lock'],
    )
    assert.ok(statSync(join(folder, 'queue-2.mdb')).size < 1024 * 1024)
  })
}
