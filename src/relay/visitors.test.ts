import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '../queue/queue.ts'
import { inMemory } from '../queue/stored.ts'
import { Channel, ChannelError } from '../workers/channel.ts'
import { SHAPE } from './site/shape.ts'
import { Sites } from './site/sites.ts'
import { OPPORTUNISTIC } from './tls-policy.ts'
import type { Judgement } from './verdicts.ts'
import type { Errand, SiteNotes } from './visit.ts'
import { type Asked, type Told, type Visitor, Visitors } from './visitors.ts'

const NOW = 1_800_000_000_000
const CONTENT = Buffer.from('content')
const STORED = inMemory(CONTENT)
const sites = new Sites({ shapeOf: () => SHAPE, now: () => NOW, unpark: () => {} })

interface End {
  readonly channel: Channel<Asked, Told>
  readonly visited: string[]
  kill(): void
}

/** The other end of a visitor's channel, which does what `visit` says. */
async function attend(
  visitors: Visitors,
  visit: (what: { number: number; errand: Errand }, end: End) => Promise<Judgement[]>,
): Promise<End> {
  const here: Visitor = new Channel(said => end.channel.receive(structuredClone(said)))
  const visited: string[] = []
  const end: End = {
    channel: new Channel(said => here.receive(structuredClone(said))),
    visited,
    kill: () => here.end(),
  }
  end.channel.on('visit', what => {
    visited.push(what.errand.site.key)
    assert.deepEqual(
      { ...what.content, start: Buffer.from(what.content.start) },
      { sizeOctets: 7, start: CONTENT },
    )
    return visit(what, end)
  })
  visitors.attend(here)
  await end.channel.ask('replies', null)
  return end
}

const siteOf = (name: string) => sites.learn(`${name}.test`, [`mx.${name}.test`], '')

function errandTo(name: string, recipients: readonly number[] = [0]): Errand {
  const site = siteOf(name)
  const message = { id: name } as Job['message']
  const job: Job = { message, destination: `${name}.test`, recipients }
  const source = { name: '', pool: '', hostname: 'relay.test' } as Errand['source']
  return {
    job,
    hosts: [],
    policy: OPPORTUNISTIC,
    sts: null,
    source,
    site: { key: site.key, shape: site.shape },
  }
}

const delivered = async ({ errand: { job } }: { errand: Errand }): Promise<Judgement[]> =>
  job.recipients.map(index => ({
    index,
    action: 'delivered',
    evidence: { atMs: NOW, status: '2.0.0', diagnostic: '250 OK' },
  }))

const noted: string[] = []
const notes: SiteNotes = {
  connecting: () => noted.push('connecting'),
  succeeded: () => noted.push('succeeded'),
  failed: reason => noted.push(`failed ${reason}`),
  slow: ({ pauseMs }) => noted.push(`slow ${pauseMs}`),
  sent: (_source, taken) => noted.push(`sent ${taken}`),
}

const open = () => new Visitors({ replies: () => [], tlsReports: null, now: () => NOW })
const go = (visitors: Visitors, name: string, recipients?: readonly number[]) =>
  visitors.visit(errandTo(name, recipients), STORED, siteOf(name), notes)

test('visitors: a site has one, and each has about as many sites as the others', async () => {
  const visitors = open()
  const ends = [
    await attend(visitors, delivered),
    await attend(visitors, delivered),
    await attend(visitors, delivered),
  ]
  const names = Array.from({ length: 300 }, (_, n) => `site${n}`)
  for (let times = 0; times < 3; times++) await Promise.all(names.map(name => go(visitors, name)))
  for (const { visited } of ends) {
    const own = new Set(visited)
    assert.equal(visited.length, 3 * own.size)
    assert.ok(own.size > 60 && own.size < 140, String(own.size))
  }
})

test('visitors: what a visitor notes reaches its site, before the judgements do', async () => {
  const visitors = open()
  noted.length = 0
  await attend(visitors, async (what, { channel }) => {
    const tell = (note: Parameters<Asked['note']>[0]['note']) =>
      channel.tell('note', { number: what.number, note })
    tell({ kind: 'connecting' })
    tell({ kind: 'slow', said: { pauseMs: 5, reason: '', category: 'blocked', host: '', advice: undefined } })
    tell({ kind: 'succeeded' })
    tell({ kind: 'failed', reason: 'nobody' })
    tell({ kind: 'sent', source: what.errand.source, taken: 2 })
    channel.tell('links', { site: what.errand.site.key, count: 1 })
    return delivered(what)
  })
  const [judgement] = await go(visitors, 'noted')
  assert.equal(judgement?.action, 'delivered')
  assert.deepEqual(noted, ['connecting', 'slow 5', 'succeeded', 'failed nobody', 'sent 2'])
  assert.equal(siteOf('noted').links.count, 1)
})

test('visitors: what follows the start of a content is asked for while the visit lasts', async () => {
  const visitors = open()
  const [end] = [
    await attend(visitors, async (what, { channel }) => {
      const { number } = what
      const piece = await channel.ask('content', { number, at: 3, octets: 4 })
      assert.equal(Buffer.from(piece).toString(), 'tent')
      return delivered(what)
    }),
  ]
  assert.equal((await go(visitors, 'pieces'))[0]?.action, 'delivered')
  await assert.rejects(end.channel.ask('content', { number: 1, at: 0, octets: 1 }), /the visit is over/)
})

test('visitors: one that ends in the middle leaves its recipients to their next attempt, and its sites to another', async () => {
  const visitors = open()
  const ends: End[] = []
  const dies = async (what: { number: number; errand: Errand }, end: End) => {
    if (what.errand.job.message.id !== 'deadly' || ends.some(other => other.visited.length > 1))
      return delivered(what)
    end.channel.tell('links', { site: what.errand.site.key, count: 1 })
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(siteOf('deadly').links.count, 1)
    end.kill()
    return []
  }
  ends.push(await attend(visitors, dies), await attend(visitors, dies))
  const judgements = await go(visitors, 'deadly', [3, 5])
  assert.deepEqual(
    judgements.map(({ index, action, evidence }) => [index, action, evidence.status, evidence.atMs]),
    [
      [3, 'deferred', '4.3.0', NOW],
      [5, 'deferred', '4.3.0', NOW],
    ],
  )
  assert.equal(siteOf('deadly').links.count, 0)
  const first = ends.findIndex(({ visited }) => visited.length === 1)
  const other = ends[1 - first]
  await go(visitors, 'other')
  assert.deepEqual(other?.visited, [siteOf('other').key])
})

test('visitors: while there is none a visit waits; when there will be none any more it is not made', async () => {
  const visitors = open()
  const early = go(visitors, 'early')
  await attend(visitors, delivered)
  assert.equal((await early)[0]?.action, 'delivered')
  const none = open()
  const vain = go(none, 'vain')
  none.close()
  await assert.rejects(vain, ChannelError)
})
