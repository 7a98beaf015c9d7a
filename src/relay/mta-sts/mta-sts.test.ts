import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsAnswer } from '../../dns/answer.ts'
import { type Fields, type Level, logTo, silent } from '../../observe/event.ts'
import { openMemoryShelf } from '../../queue/memory/shelf.ts'
import type { Shelf } from '../../queue/shelf.ts'
import type { Fetched, StsFailure } from './fetch.ts'
import { MtaSts } from './mta-sts.ts'
import type { StsPolicy } from './policy.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const WEEK_SECONDS = 604_800

const DOMAIN = 'example.com'
const ENFORCE: StsPolicy = { mode: 'enforce', mx: ['mx.example.com'], maxAgeSeconds: WEEK_SECONDS }
const TESTING: StsPolicy = { ...ENFORCE, mode: 'testing' }
const NONE: StsPolicy = { mode: 'none', mx: [], maxAgeSeconds: 86_400 }
const DOWN: StsFailure = { resultType: 'sts-policy-fetch-error', reason: 'connection refused' }
const EXPIRED: StsFailure = { resultType: 'sts-webpki-invalid', reason: 'certificate has expired' }

const txt = (...records: string[]): DnsAnswer<string> => {
  return { kind: 'answer', records, ttlSeconds: 60, authenticated: false, name: `_mta-sts.${DOMAIN}` }
}
const id = (id: string) => txt(`v=STSv1; id=${id};`)
const NXDOMAIN: DnsAnswer<string> = { kind: 'nxdomain', ttlSeconds: 60, authenticated: false }
const SERVFAIL: DnsAnswer<string> = {
  kind: 'failure',
  code: 'SERVFAIL',
  reason: 'the server answers SERVFAIL',
}

/** A domain as it is now, and a relay that looks at it. */
interface World {
  nowMs: number
  txt: DnsAnswer<string>
  site: StsPolicy | StsFailure
  readonly shelf: Shelf
  /** What a fetch takes. */
  fetchMs: number
  /** Domains whose policy was fetched. */
  readonly fetched: string[]
  readonly events: [level: Level | undefined, fields: Fields][]
  sts: MtaSts
  /** What is remembered in memory only is gone. */
  restart(): void
}

function world(given: Partial<World> = {}): World {
  const made: World = {
    ...{
      nowMs: Date.UTC(2026, 0, 1),
      fetchMs: 0,
      txt: id('1'),
      site: ENFORCE,
      shelf: openMemoryShelf(),
      fetched: [],
      events: [],
    },
    ...given,
    sts: undefined as unknown as MtaSts,
    restart() {
      made.sts = new MtaSts({
        resolver: { txt: async () => made.txt },
        shelf: made.shelf,
        async fetch(domain): Promise<Fetched> {
          made.fetched.push(domain)
          made.nowMs += made.fetchMs
          const { site } = made
          return 'mode' in site ? { kind: 'policy', policy: site } : { kind: 'failure', ...site }
        },
        now: () => made.nowMs,
        random: () => 0,
        log,
      })
    },
  }
  const log = logTo((name, fields, level) => {
    assert.equal(name, 'policy')
    made.events.push([level, fields])
  })
  made.restart()
  return made
}

/** `enforce 1`: mode and id; `stale` and why; `none` and why. */
async function told({ sts }: World, domain = DOMAIN): Promise<string> {
  const answer = await sts.policyFor(domain)
  if (answer.kind === 'none')
    return ['none', answer.failure?.resultType, answer.reason].filter(Boolean).join(': ')
  const stale = answer.stale === undefined ? [] : ['stale', answer.stale.resultType, answer.stale.reason]
  return [`${answer.mode} ${answer.id}`, ...stale].join(': ')
}

const FIRST: [what: string, given: Partial<World>, told: string][] = [
  ['a policy', {}, 'enforce 1'],
  ['testing', { site: TESTING }, 'testing 1'],
  ['mode none (§8.3)', { site: NONE }, 'none 1'],
  ['no record', { txt: NXDOMAIN }, 'none: _mta-sts.example.com has no TXT record'],
  [
    'two records (§3.1)',
    { txt: txt('v=STSv1; id=1', 'v=STSv1; id=2') },
    'none: 2 TXT records begin with v=STSv1;',
  ],
  [
    'no answer of DNS',
    { txt: SERVFAIL },
    'none: TXT of _mta-sts.example.com: SERVFAIL, the server answers SERVFAIL',
  ],
  // §3.3: "senders MUST continue with delivery as though the domain has not implemented MTA-STS"
  ['a record and no policy', { site: DOWN }, 'none: sts-policy-fetch-error: connection refused'],
  ['a certificate that is over', { site: EXPIRED }, 'none: sts-webpki-invalid: certificate has expired'],
]
for (const [what, given, expected] of FIRST)
  test(`for the first time: ${what}`, async () => {
    const made = world(given)
    assert.equal(await told(made), expected)
    assert.equal(made.fetched.length, given.txt === undefined ? 1 : 0)
  })

test('the answer has what the policy says and until when', async () => {
  const made = world()
  const { nowMs } = made
  const untilMs = nowMs + WEEK_SECONDS * 1000
  const answer = { kind: 'policy', ...ENFORCE, id: '1', fetchedMs: nowMs, untilMs, refreshMs: nowMs + DAY }
  assert.deepEqual(await made.sts.policyFor(DOMAIN), answer)
})

test('an address literal, and what is no domain, have no policy and are not asked for (§3.4)', async () => {
  const made = world()
  for (const domain of ['[192.0.2.1]', '[IPv6:2001:db8::1]', 'a/b', ''])
    assert.match(await told(made, domain), /^none: only domain names/)
  assert.deepEqual(made.fetched, [])
  assert.equal(await told(made, 'BÜCHER.example'), 'enforce 1')
  assert.deepEqual(made.fetched, ['xn--bcher-kva.example'])
})

test('the same id: not fetched again, over a restart too, until max_age is over', async () => {
  const made = world()
  await told(made)
  made.site = TESTING
  made.nowMs += WEEK_SECONDS * 1000 - 1
  made.restart()
  assert.equal(await told(made), 'enforce 1')
  assert.equal(made.fetched.length, 1)
  made.nowMs += 1
  assert.equal(await told(made), 'testing 1')
  assert.equal(made.fetched.length, 2)
})

test('another id: fetched at once; a shorter policy replaces a longer one', async () => {
  const made = world()
  await told(made)
  Object.assign(made, { txt: id('2'), site: NONE })
  assert.equal(await told(made), 'none 2')
  // §8.3: everything may be gone now, and nobody is told.
  Object.assign(made, { txt: NXDOMAIN, site: DOWN })
  assert.equal(await told(made), 'none 2')
  made.nowMs += DAY
  assert.equal(await told(made), 'none: _mta-sts.example.com has no TXT record')
  assert.deepEqual(
    made.events.map(([level]) => level),
    ['info', 'info'],
  )
})

const LATER: [what: string, changed: Partial<World>, told: string][] = [
  [
    'the record is gone',
    { txt: NXDOMAIN },
    'enforce 1: stale: sts-policy-fetch-error: _mta-sts.example.com has no TXT record',
  ],
  [
    'DNS does not answer',
    { txt: SERVFAIL },
    'enforce 1: stale: sts-policy-fetch-error: TXT of _mta-sts.example.com: SERVFAIL, the server answers SERVFAIL',
  ],
  [
    'another id, and no server',
    { txt: id('2'), site: DOWN },
    'enforce 1: stale: sts-policy-fetch-error: connection refused',
  ],
  [
    'another id, and somebody else',
    { txt: id('2'), site: EXPIRED },
    'enforce 1: stale: sts-webpki-invalid: certificate has expired',
  ],
]
for (const [what, changed, expected] of LATER)
  test(`a policy that is kept stays in force (§3.3, §5.1): ${what}`, async () => {
    const made = world()
    await told(made)
    Object.assign(made, changed)
    made.restart()
    assert.equal(await told(made), expected)
    made.nowMs += WEEK_SECONDS * 1000
    assert.match(await told(made), /^none: /)
  })

test('a fetch that failed is not tried again for ten minutes, then longer; another id at once (§3.3)', async () => {
  const made = world({ site: DOWN })
  const pauses: number[] = []
  for (let times = 1; times <= 5; times++) {
    await told(made)
    assert.equal(made.fetched.length, times)
    const pauseMs = Number(made.events.at(-1)?.[1].retry_ms)
    pauses.push(pauseMs / MINUTE)
    made.nowMs += pauseMs - 1
    assert.match(await told(made), /^none: sts-policy-fetch-error/)
    assert.equal(made.fetched.length, times)
    made.nowMs += 1
  }
  assert.deepEqual(pauses, [10, 20, 40, 60, 60])
  await told(made)
  Object.assign(made, { txt: id('2'), site: ENFORCE })
  assert.equal(await told(made), 'enforce 2')
  // Nothing is left of it.
  Object.assign(made, { txt: id('3'), site: DOWN })
  await told(made)
  assert.equal(made.events.at(-1)?.[1].retry_ms, 10 * MINUTE)
})

test('a policy that ends while another is fetched in vain is over', async () => {
  const made = world({ site: { ...ENFORCE, maxAgeSeconds: 60 } })
  await told(made)
  Object.assign(made, { txt: id('2'), site: DOWN, fetchMs: MINUTE })
  assert.equal(await told(made), 'none: sts-policy-fetch-error: connection refused')
})

test('who asks at the same time waits for one fetch', async () => {
  const made = world()
  const all = await Promise.all(Array.from({ length: 20 }, () => told(made)))
  assert.deepEqual(new Set(all), new Set(['enforce 1']))
  assert.equal(made.fetched.length, 1)
})

test('refresh: after a day, whatever DNS says, and quietly where nothing is new (§10.2)', async () => {
  const made = world()
  await told(made)
  made.nowMs += DAY - 1
  await made.sts.refresh(made.nowMs)
  assert.equal(made.fetched.length, 1)
  made.nowMs += 1
  made.txt = NXDOMAIN
  await made.sts.refresh(made.nowMs)
  assert.equal(made.fetched.length, 2)
  assert.deepEqual(
    made.events.map(([level]) => level),
    ['info', 'debug'],
  )
  // Six days more than it had, and a day after that.
  made.txt = id('1')
  made.nowMs += WEEK_SECONDS * 1000 - 1
  assert.equal(await told(made), 'enforce 1')
  assert.equal(made.fetched.length, 2)
})

test('refresh: after half of a short max_age, up to a quarter sooner by chance', async () => {
  for (const [random, seconds] of [
    [0, 3600],
    [0.5, 3150],
  ] as const) {
    const made = world({ site: { ...ENFORCE, maxAgeSeconds: 7200 } })
    made.sts = new MtaSts({
      ...{ resolver: { txt: async () => made.txt }, shelf: made.shelf, now: () => made.nowMs },
      fetch: async () => ({ kind: 'policy', policy: made.site as StsPolicy }),
      random: () => random,
      log: silent,
    })
    const answer = await made.sts.policyFor(DOMAIN)
    assert.ok(answer.kind === 'policy')
    assert.equal(answer.refreshMs - made.nowMs, seconds * 1000)
  }
})

test('refresh that fails: told as a warning with until when, after pauses, and mail is sent by the policy', async () => {
  const made = world()
  await told(made)
  made.site = EXPIRED
  for (let minutes = 0; minutes < 3 * 60; minutes += 10)
    await made.sts.refresh(made.nowMs + DAY + minutes * MINUTE)
  // The clock of the pauses stands: one attempt.
  assert.equal(made.fetched.length, 2)
  const [level, fields] = made.events.at(-1) ?? []
  assert.deepEqual(
    [level, fields],
    [
      'warn',
      {
        ...{
          about: 'MTA-STS',
          domain: DOMAIN,
          result: 'sts-webpki-invalid',
          reason: 'certificate has expired',
        },
        ...{ times: 1, retry_ms: 10 * MINUTE, mode: 'enforce', until: '2026-01-08T00:00:00.000Z' },
      },
    ],
  )
  assert.equal(await told(made), 'enforce 1: stale: sts-webpki-invalid: certificate has expired')
  made.nowMs += DAY + 10 * MINUTE
  made.site = ENFORCE
  await made.sts.refresh(made.nowMs)
  assert.equal(await told(made), 'enforce 1')
})

test('refresh: not for mode none, and not where there was no mail for thirty days', async () => {
  const made = world({ site: NONE })
  await told(made)
  await made.sts.refresh(made.nowMs + DAY - 1)
  assert.equal(made.fetched.length, 1)
  Object.assign(made, { txt: id('2'), site: { ...ENFORCE, maxAgeSeconds: 31_557_600 } })
  await told(made)
  // Mail a day later counts from then.
  made.nowMs += DAY + 1
  await told(made)
  made.nowMs += 30 * DAY - 1
  made.restart()
  await made.sts.refresh(made.nowMs)
  assert.equal(made.fetched.length, 3)
  made.nowMs += DAY
  await made.sts.refresh(made.nowMs)
  assert.equal(made.fetched.length, 3)
  assert.equal(await told(made), 'enforce 2')
  await made.sts.refresh(made.nowMs)
  assert.equal(made.fetched.length, 4)
})

test('refresh: all that are due, page after page, at most eight at a time', async () => {
  let running = 0
  let most = 0
  const waiting: (() => void)[] = []
  const made = world()
  const domains = Array.from({ length: 1203 }, (_, at) => `d${at}.example`)
  await Promise.all(domains.map(domain => told(made, domain)))
  const seen: string[] = []
  made.sts = new MtaSts({
    ...{ resolver: { txt: async () => made.txt }, shelf: made.shelf, now: () => made.nowMs, random: () => 0 },
    async fetch(domain) {
      most = Math.max(most, ++running)
      seen.push(domain)
      await new Promise<void>(resolve => {
        waiting.push(resolve)
        if (waiting.length === 8 || seen.length === domains.length) for (const go of waiting.splice(0)) go()
      })
      running--
      return { kind: 'policy', policy: ENFORCE }
    },
    log: silent,
  })
  made.nowMs += DAY
  const refreshing = made.sts.refresh(made.nowMs)
  // It is at it.
  await made.sts.refresh(made.nowMs)
  assert.ok(seen.length < domains.length)
  await refreshing
  assert.deepEqual(seen.toSorted(), domains.toSorted())
  assert.equal(most, 8)
})

test('what is on the shelf and is no policy is fetched as if it were not there', async () => {
  for (const value of [
    null,
    1,
    'x',
    {},
    { mode: 'enforce', mx: [1], maxAgeSeconds: 1, id: '1' },
    { mode: 'x' },
  ]) {
    const made = world()
    await made.shelf.put(`sts/${DOMAIN}`, value, made.nowMs + DAY)
    assert.equal(await told(made), 'enforce 1')
    assert.equal(made.fetched.length, 1)
  }
})

test('stopped while a policy is fetched: no answer, for that would be one without a policy', async () => {
  const made = world({ site: DOWN })
  const asked = made.sts.policyFor(DOMAIN)
  const refreshed = made.sts.refresh(made.nowMs)
  made.sts.close()
  await assert.rejects(asked, /the relay is stopping/)
  await refreshed
  assert.deepEqual(made.events, [])
})

test('the shelf cannot be read: no answer', async () => {
  const shelf = { ...openMemoryShelf(), get: () => Promise.reject(new Error('EIO')) }
  await assert.rejects(world({ shelf }).sts.policyFor(DOMAIN), /EIO/)
})
