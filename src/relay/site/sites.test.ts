import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHAPE, type Shape } from './shape.ts'
import { Sites, siteKey } from './sites.ts'

const ONE_A_SECOND = { ...SHAPE, messagesPerSecond: 1 }
const TWO_A_SECOND = { ...SHAPE, messagesPerSecond: 2 }
const ONE_A_MINUTE = { ...SHAPE, connectionsPerMinute: 1 }
const GOOGLE = ['gmail-smtp-in.l.example', 'ALT1.gmail-smtp-in.l.example']

function world(shapeOf: (destination: string) => Shape = () => SHAPE) {
  const clock = { nowMs: 1_000_000 }
  const unparked: string[] = []
  const unpark = (destination: string) => unparked.push(destination)
  return { clock, unparked, sites: new Sites({ shapeOf, now: () => clock.nowMs, unpark }) }
}

/** How many jobs one lease would take; 100: as many as there are. */
function room(sites: Sites, destination: string): number {
  const skip = sites.round()
  let jobs = 0
  while (jobs < 100 && skip(destination) === false) jobs++
  return jobs
}

test('sites: one job finds out the site of a destination, the others wait', () => {
  const { sites } = world()
  assert.equal(room(sites, 'a.test'), 1)
  const place = sites.enter('a.test')
  assert.equal(room(sites, 'a.test'), 0)
  assert.equal(room(sites, 'b.test'), 1)
  assert.equal(place.arrive(GOOGLE)?.key, 'alt1.gmail-smtp-in.l.example,gmail-smtp-in.l.example')
  assert.equal(room(sites, 'a.test'), 4)
  place.leave()
  assert.equal(room(sites, 'a.test'), 5)
})

test('sites: a destination whose job found no site is unknown again', () => {
  const { sites } = world()
  sites.enter('a.test').leave()
  assert.equal(room(sites, 'a.test'), 1)
})

test('sites: domains with the same MX hosts share the places, in whatever order they name them', () => {
  const { sites } = world()
  for (const domain of ['a.test', 'b.test']) sites.enter(domain).arrive(GOOGLE.toReversed())
  assert.equal(room(sites, 'a.test'), 3)
  assert.equal(room(sites, 'b.test'), 3)
  assert.equal(siteKey(GOOGLE), siteKey(GOOGLE.toReversed()))
})

test('sites: a job of an unknown destination is turned away where the site is full, and is known then', () => {
  const { sites } = world()
  for (let i = 0; i < 5; i++) sites.enter('a.test').arrive(GOOGLE)
  const late = sites.enter('b.test')
  assert.equal(late.arrive(GOOGLE), null)
  late.leave()
  assert.equal(room(sites, 'b.test'), 0)
})

test('sites: after an hour the site of a destination is found out again', () => {
  const { clock, sites } = world()
  const place = sites.enter('a.test')
  place.arrive(GOOGLE)
  place.leave()
  clock.nowMs += 3600_000
  assert.equal(room(sites, 'a.test'), 1)
  const moved = sites.enter('a.test')
  assert.equal(moved.arrive(['mx.elsewhere.test'])?.key, 'mx.elsewhere.test')
  moved.leave()
  assert.equal(room(sites, 'a.test'), 5)
})

test('sites: a rule for one domain does not bind the others at its hosts', () => {
  const strict = { ...SHAPE, concurrency: { initial: 1, max: 1 } }
  const { sites } = world(destination => (destination === 'strict.test' ? strict : SHAPE))
  sites.enter('a.test').arrive(GOOGLE)
  sites.enter('strict.test').arrive(GOOGLE)
  assert.equal(room(sites, 'a.test'), 4)
  assert.equal(room(sites, 'strict.test'), 0)
})

test('sites: a rule for a domain holds for its mail from every pool of addresses', () => {
  const strict = { ...SHAPE, concurrency: { initial: 1, max: 1 } }
  const { sites } = world(destination => (destination === 'strict.test' ? strict : SHAPE))
  sites.enter('strict.test@news').arrive(GOOGLE, 'news')
  assert.equal(room(sites, 'strict.test@news'), 0)
})

test('sites: who waits for a destination to be known waits, though a site has the same name', () => {
  const { clock, sites, unparked } = world()
  const place = sites.enter('a.test')
  place.arrive(['a.test'])
  place.leave()
  clock.nowMs += 3600_000
  const second = sites.enter('a.test')
  unparked.length = 0
  assert.equal(sites.round()('a.test'), 'park')
  assert.equal(sites.tick(), null)
  assert.deepEqual(unparked, [])
  second.arrive(['a.test'])
  assert.deepEqual(unparked, ['a.test'])
})

test('sites: a window of failures closes a site; its jobs are let through to be put off; then one probes', () => {
  const { clock, sites } = world()
  const place = sites.enter('a.test')
  const site = place.arrive(GOOGLE)
  assert.ok(site)
  place.leave()
  const closures = Array.from({ length: 5 }, () => site.failed(clock.nowMs, 'connect: timed out'))
  assert.deepEqual(
    closures.map(closure => closure?.untilMs),
    [undefined, undefined, undefined, undefined, clock.nowMs + 60_000],
  )
  assert.equal(site.closure(clock.nowMs)?.reason, 'connect: timed out')
  assert.equal(room(sites, 'a.test'), 100)
  clock.nowMs += 60_000
  assert.equal(site.closure(clock.nowMs), null)
  assert.equal(room(sites, 'a.test'), 1)
  const pauses = Array.from({ length: 6 }, () => {
    const closure = site.failed(clock.nowMs, 'connect: timed out')
    const pauseMs = (closure?.untilMs ?? 0) - clock.nowMs
    clock.nowMs += pauseMs
    return pauseMs / 60_000
  })
  assert.deepEqual(pauses, [2, 4, 8, 15, 15, 15])
  site.succeeded()
  assert.equal(site.failed(clock.nowMs, 'once')?.untilMs, undefined)
})

test('sites: a site that asks us to wait is closed for as long, and given half as much after it', () => {
  const { clock, sites } = world()
  const place = sites.enter('a.test')
  const site = place.arrive(GOOGLE)
  place.leave()
  site?.slow(clock.nowMs, clock.nowMs + 600_000, '421 too many messages, try again in 10 minutes')
  assert.equal(site?.closure(clock.nowMs + 599_999)?.sinceMs, clock.nowMs)
  clock.nowMs += 600_000
  assert.equal(room(sites, 'a.test'), 2)
})

test('sites: what each of several connections is told at once counts once', () => {
  const { clock, sites } = world()
  const place = sites.enter('a.test')
  const site = place.arrive(GOOGLE)
  place.leave()
  const closures = [0, 1, 2, 3].map(ms => {
    const nowMs = clock.nowMs + ms
    return site?.slow(nowMs, nowMs + 600_000, '421 too many messages') ?? null
  })
  assert.equal(closures.filter(closure => closure !== null).length, 1)
  assert.equal(site?.closure(clock.nowMs + 600_002)?.sinceMs, clock.nowMs)
  clock.nowMs += 600_003
  assert.equal(room(sites, 'a.test'), 2)
})

test('sites: a pace leaves room only as time passes, and says when', () => {
  const { clock, sites } = world(() => TWO_A_SECOND)
  const first = sites.enter('a.test')
  const site = first.arrive(GOOGLE)
  first.leave()
  assert.equal(room(sites, 'a.test'), 0)
  assert.equal(sites.tick(), 500)
  clock.nowMs += 500
  assert.equal(sites.tick(), 0)
  assert.equal(site?.room(clock.nowMs), 1)
})

test('sites: new connections are counted apart from messages', () => {
  const { clock, sites } = world(() => ONE_A_MINUTE)
  const place = sites.enter('a.test')
  place.arrive(GOOGLE)?.connecting(clock.nowMs)
  place.leave()
  assert.equal(room(sites, 'a.test'), 0)
  assert.equal(sites.tick(), 60_000)
})

test('sites: what one lease takes is counted by site, not by destination', () => {
  const { sites } = world()
  for (const domain of ['a.test', 'b.test']) {
    const place = sites.enter(domain)
    place.arrive(GOOGLE)
    place.leave()
  }
  const skip = sites.round()
  assert.deepEqual(['a.test', 'b.test', 'a.test', 'b.test', 'a.test', 'b.test'].map(skip), [
    false,
    false,
    false,
    false,
    false,
    'park',
  ])
})

test('sites: who leaves a full site lets in one of those who wait, and they take turns', () => {
  const { sites, unparked } = world()
  const places = Array.from({ length: 5 }, (_, n) => {
    const place = sites.enter(`${n}.test`)
    place.arrive(GOOGLE)
    return place
  })
  unparked.length = 0
  const skip = sites.round()
  assert.deepEqual(['0.test', '1.test'].map(skip), ['park', 'park'])
  places[0]?.leave()
  assert.deepEqual(unparked, ['0.test'])
  places[1]?.leave()
  assert.deepEqual(unparked, ['0.test', '1.test'])
})

test('sites: who waits for a destination to be known goes on when it is', () => {
  const { sites, unparked } = world()
  const first = sites.enter('a.test')
  assert.equal(sites.round()('a.test'), 'park')
  first.arrive(GOOGLE)
  assert.deepEqual(unparked, ['a.test'])
})

test('sites: who waits for a pace goes on with the time', () => {
  const { clock, sites, unparked } = world(() => ONE_A_SECOND)
  sites.enter('a.test').arrive(GOOGLE)
  unparked.length = 0
  assert.equal(sites.round()('a.test'), 'park')
  assert.equal(sites.tick(), 1000)
  assert.deepEqual(unparked, [])
  clock.nowMs += 1000
  sites.tick()
  assert.deepEqual(unparked, ['a.test'])
})

test('sites: an operator holds a site until a time, or until he lifts it', () => {
  const { clock, sites, unparked } = world()
  const place = sites.enter('a.test')
  const key = place.arrive(GOOGLE)?.key ?? ''
  place.leave()
  const hold = { kind: 'site', name: key, reason: 'their postmaster asked', sinceMs: 0 } as const
  sites.hold([{ ...hold, untilMs: clock.nowMs + 60_000 }])
  assert.equal(room(sites, 'a.test'), 0)
  clock.nowMs += 60_000
  assert.equal(room(sites, 'a.test'), 5)
  sites.hold([{ ...hold, untilMs: null }])
  assert.equal(room(sites, 'a.test'), 0)
  unparked.length = 0
  sites.hold([])
  assert.deepEqual(unparked, ['a.test'])
  assert.equal(room(sites, 'a.test'), 5)
})

test('sites: pools of source addresses have sites of their own', () => {
  const { sites } = world()
  const place = sites.enter('a.test@news')
  assert.equal(place.arrive(['mx.a.test'], 'news')?.key, 'mx.a.test from news')
  sites.enter('a.test').arrive(['mx.a.test'])
  assert.equal(room(sites, 'a.test'), 4)
})

test('sites: new rules make new sites; what is under way ends as it began', () => {
  let shape: Shape = SHAPE
  const { sites, unparked } = world(() => shape)
  const places = Array.from({ length: 5 }, () => sites.enter('a.test'))
  for (const place of places) place.arrive(GOOGLE)
  assert.equal(sites.round()('a.test'), 'park')
  unparked.length = 0
  shape = { ...SHAPE, concurrency: { initial: 2, max: 2 } }
  sites.renew()
  assert.deepEqual(unparked, ['a.test'])
  sites.enter('a.test').arrive(GOOGLE)
  for (const place of places) place.leave()
  assert.equal(room(sites, 'a.test'), 1)
})

test('sites: ways of a destination have sites of their own', () => {
  const { sites } = world()
  for (const [destination, hosts] of [
    ['a.test', GOOGLE],
    ['a.test via smart', ['smart.test']],
  ] as const)
    for (let i = 0; i < 5; i++) sites.enter(destination).arrive(hosts)
  assert.equal(room(sites, 'a.test'), 0)
  assert.equal(room(sites, 'a.test via smart'), 0)
  assert.equal(room(sites, 'a.test via other'), 1)
})

test('sites: who goes astray does not make others follow, and waits for room where it goes', () => {
  const { sites, unparked } = world()
  sites.enter('a.test').arrive(GOOGLE)
  const there = Array.from({ length: 5 }, () => {
    const place = sites.enter('b.test')
    place.arrive(['smart.test'])
    return place
  })
  // The site of the destination has room, the smart host has not.
  assert.equal(room(sites, 'a.test'), 4)
  const astray = sites.enter('a.test')
  assert.equal(astray.stray(['smart.test']), null)
  astray.leave()
  assert.equal(room(sites, 'a.test'), 0, 'or it would be leased again and again')
  unparked.length = 0
  there[0]?.leave()
  assert.deepEqual(unparked, ['a.test'])
  assert.equal(room(sites, 'a.test'), 4)
  const again = sites.enter('a.test')
  assert.equal(again.stray(['smart.test'])?.key, 'smart.test')
  assert.equal(room(sites, 'a.test'), 4, 'its own site is known still')
})
