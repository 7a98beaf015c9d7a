import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { DnsAnswer } from '../../dns/answer.ts'
import { type Fields, logTo, silent } from '../../observe/event.ts'
import { openMemory } from '../../queue/memory/memory.ts'
import { openMemoryShelf } from '../../queue/memory/shelf.ts'
import type { Message, Queue } from '../../queue/queue.ts'
import type { Shelf } from '../../queue/shelf.ts'
import { formatMailbox } from '../../smtp/path.ts'
import { TO_SIGNER } from '../notification.ts'
import { Collection } from './collection.ts'
import type { Outcome } from './outcome.ts'
import type { Report } from './report.ts'
import { TlsReports } from './reports.ts'
import { DAY_MS } from './schedule.ts'
import { readSending } from './sending.ts'

const HOUR = 3600_000
const NOON = Date.UTC(2026, 10, 21, 12)
const DAY = '2026-11-21'
const USERS_MAIL = { id: '01KAXE0000000000000000000A' }

const outcome = (policyDomain: string, result: Outcome['result'] = 'success'): Outcome => ({
  policyDomain,
  policy: { type: 'no-policy-found', strings: [], mxHosts: [] },
  result,
})

interface World {
  nowMs: number
  readonly shelf: Shelf
  readonly queue: Queue
  /** `_smtp._tls.…` → TXT. `null`: SERVFAIL. */
  readonly dns: Record<string, string[] | null>
  /** What was asked of DNS. */
  readonly asked: string[]
  readonly posted: { readonly url: string; readonly type: string; readonly report: Report }[]
  /** Of the next POSTs; 200 when there is none left. An error: nobody answers. */
  readonly answers: (number | Error)[]
  readonly events: Fields[]
  reports: TlsReports
  /** The relay is started again, with what is on the shelf. */
  restart(): void
  /** Looks once a minute until then. */
  until(ms: number): Promise<void>
  mails(): Promise<Message[]>
}

function world(dns: World['dns'] = {}): World {
  const events: Fields[] = []
  const log = logTo((_, fields) => events.push(fields))
  const make = () =>
    new TlsReports({
      shelf: it.shelf,
      queue: it.queue,
      resolver: {
        async txt(name): Promise<DnsAnswer<string>> {
          it.asked.push(name)
          const records = dns[name]
          if (records === undefined) return { kind: 'nxdomain', ttlSeconds: 60, authenticated: false }
          if (records === null) return { kind: 'failure', code: 'SERVFAIL', reason: 'it is broken' }
          return { kind: 'answer', records, ttlSeconds: 60, authenticated: false, name }
        },
      },
      async post(url, type, octets) {
        it.posted.push({ url, type, report: JSON.parse(gunzipSync(octets).toString()) })
        const answer = it.answers.shift() ?? 200
        if (answer instanceof Error) throw answer
        return { status: answer }
      },
      domain: 'example.com',
      postmaster: 'postmaster@example.com',
      hostname: 'mail.example.com',
      now: () => it.nowMs,
      wake: () => {},
      log,
    })
  const it: World = {
    nowMs: NOON,
    shelf: openMemoryShelf(),
    queue: openMemory(),
    dns,
    asked: [],
    posted: [],
    answers: [],
    events,
    reports: undefined as unknown as TlsReports,
    restart() {
      it.reports = make()
    },
    async until(ms) {
      for (; it.nowMs < ms; it.nowMs += 60_000) await it.reports.look()
    },
    mails: () => it.queue.list({ limit: 100 }),
  }
  it.reports = make()
  return it
}

const MORNING = NOON + DAY_MS
const MAILTO = {
  '_smtp._tls.example.net': ['v=TLSRPTv1; rua=mailto:tls@reports.example,mailto:b@example.net'],
}
const HTTPS = { '_smtp._tls.example.net': ['v=TLSRPTv1; rua=https://reports.example/tls'] }

test('a day goes by: DNS is asked after it, once a domain, and who has a record gets one report', async () => {
  const it = world(HTTPS)
  for (let n = 0; n < 5; n++) it.reports.note(outcome('example.net'), USERS_MAIL)
  it.reports.note(outcome('elsewhere.test'), USERS_MAIL)
  await it.until(Date.UTC(2026, 10, 22))
  assert.deepEqual(it.asked, [])
  await it.until(MORNING)
  assert.deepEqual(it.asked.toSorted(), ['_smtp._tls.elsewhere.test', '_smtp._tls.example.net'])
  assert.equal(it.posted.length, 1)
  const [{ url, type, report } = assert.fail()] = it.posted
  assert.equal(url, 'https://reports.example/tls')
  assert.equal(type, 'application/tlsrpt+gzip')
  assert.equal(report['report-id'], '2026-11-21.example.net@mail.example.com')
  assert.equal(report['contact-info'], 'postmaster@example.com')
  assert.equal(report.policies[0]?.summary['total-successful-session-count'], 5)
  assert.equal((await readSending(it.shelf, { day: DAY, domain: 'elsewhere.test' }, it.nowMs))?.nextMs, null)
})

test('the days are apart: each has its report', async () => {
  const it = world(HTTPS)
  it.reports.note(outcome('example.net'), USERS_MAIL)
  it.nowMs += DAY_MS
  it.reports.note(outcome('example.net'), USERS_MAIL)
  it.reports.note(outcome('example.net'), USERS_MAIL)
  await it.until(NOON + 2 * DAY_MS)
  const counts = it.posted.map(({ report }) => [
    report['date-range']['start-datetime'],
    report.policies[0]?.summary['total-successful-session-count'],
  ])
  assert.deepEqual(counts, [
    ['2026-11-21T00:00:00Z', 1],
    ['2026-11-22T00:00:00Z', 2],
  ])
})

test('domains do not all come at once (RFC 8460 §4.1), and a restart does not move them', async () => {
  const domains = Array.from({ length: 40 }, (_, n) => `d${n}.test`)
  const times: string[][] = []
  for (const restarts of [false, true]) {
    const it = world()
    for (const domain of domains) it.reports.note(outcome(domain), USERS_MAIL)
    await it.reports.look()
    const seen: string[] = []
    for (it.nowMs = Date.UTC(2026, 10, 22); it.nowMs < MORNING; it.nowMs += 60_000) {
      if (restarts) it.restart()
      const before = it.asked.length
      await it.reports.look()
      seen.push(
        ...it.asked.slice(before).map(name => `${(it.nowMs - Date.UTC(2026, 10, 22)) / 60_000} ${name}`),
      )
    }
    times.push(seen)
  }
  const [[...once] = [], again] = times
  assert.equal(once.length, 40)
  assert.deepEqual(again, once)
  const minutes = once.map(text => Number.parseInt(text, 10))
  assert.ok(new Set(minutes).size > 20, minutes.join(' '))
  assert.ok(Math.min(...minutes) >= 1 && Math.max(...minutes) <= 242 && Math.max(...minutes) > 120)
})

test('what was counted survives a restart, and is added to', async () => {
  const it = world(HTTPS)
  it.reports.note(outcome('example.net'), USERS_MAIL)
  await it.reports.close()
  it.restart()
  it.reports.note(outcome('example.net'), USERS_MAIL)
  it.reports.note(outcome('example.net', { type: 'certificate-expired' }), USERS_MAIL)
  await it.reports.close()
  it.restart()
  await it.until(MORNING)
  assert.deepEqual(it.posted[0]?.report.policies[0]?.summary, {
    'total-successful-session-count': 2,
    'total-failure-session-count': 1,
  })
})

test('by mail: to the signer, from the postmaster, to all addresses, and nobody hears where it fails', async () => {
  const it = world(MAILTO)
  it.reports.note(outcome('example.net'), USERS_MAIL)
  await it.until(MORNING)
  const [message, ...others] = await it.mails()
  assert.deepEqual(others, [])
  assert.ok(message?.reversePath)
  assert.equal(formatMailbox(message.reversePath), 'postmaster@example.com')
  assert.deepEqual(
    message.recipients.map(({ mailbox, destination, notify }) => [
      formatMailbox(mailbox),
      destination,
      notify,
    ]),
    [
      ['tls@reports.example', TO_SIGNER, []],
      ['b@example.net', TO_SIGNER, []],
    ],
  )
  assert.equal(message.expiresMs - message.arrivedMs, DAY_MS)
  // The id it comes back under, by which its delivery is known.
  assert.match(message.envelope.xptt?.id ?? '', /^[0-9A-HJKMNP-TV-Z]{26}tlsrpt$/)
})

test('no loop: the delivery of a report is in no report', async () => {
  const it = world({ ...MAILTO, '_smtp._tls.reports.example': ['v=TLSRPTv1; rua=mailto:x@example.net'] })
  it.reports.note(outcome('example.net'), USERS_MAIL)
  for (let day = 1; day <= 5; day++) {
    await it.until(NOON + day * DAY_MS)
    for (const { id, envelope } of await it.mails()) {
      // The report is delivered, to other servers.
      const report = { id: envelope.xptt?.id ?? '' }
      for (const domain of ['reports.example', 'example.net']) it.reports.note(outcome(domain), report)
      await it.queue.remove(id)
    }
  }
  assert.deepEqual(it.asked, ['_smtp._tls.example.net'])
})

test('a restart sends none twice, also where it came between sending and writing that down', async () => {
  const records = 'v=TLSRPTv1; rua=mailto:tls@reports.example,https://reports.example/tls'
  const it = world({ '_smtp._tls.example.net': [records] })
  it.reports.note(outcome('example.net'), USERS_MAIL)
  await it.until(MORNING)
  it.restart()
  await it.until(MORNING + 6 * HOUR)
  assert.deepEqual([(await it.mails()).length, it.posted.length], [1, 1])
  // The mark is lost: of the mail the queue knows that it has it.
  assert.equal(await it.shelf.take(`tls-report-sent/${DAY}/example.net`), true)
  it.restart()
  await it.until(MORNING + 12 * HOUR)
  assert.deepEqual([(await it.mails()).length, it.posted.length], [1, 2])
})

test('who cannot be reached is tried again, and only he; after 24 hours no more', async () => {
  const records =
    'v=TLSRPTv1; rua=https://reports.example/tls, https://other.example/, mailto:tls@example.net'
  const it = world({ '_smtp._tls.example.net': [records] })
  it.reports.note(outcome('example.net'), USERS_MAIL)
  // Both are asked at the first attempt; then one of them at 10 minutes, 20 …
  it.answers.push(503, 201, 302, new Error('no connection'), 500, 404, 410, 421, 500, 500, 500)
  await it.until(NOON + 3 * DAY_MS)
  const urls = it.posted.map(({ url }) => url)
  assert.deepEqual(urls.toSorted(), [
    'https://other.example/',
    ...Array(8).fill('https://reports.example/tls'),
  ])
  assert.equal((await it.mails()).length, 1)
  const sending = await readSending(it.shelf, { day: DAY, domain: 'example.net' }, it.nowMs)
  assert.deepEqual(
    [sending?.attempts, sending?.nextMs, sending?.sentTo.toSorted()],
    [8, null, ['https://other.example/', 'mailto:tls@example.net']],
  )
  assert.match(sending?.reason ?? '', /^https:\/\/reports\.example\/tls: HTTP 500$/)
})

test('DNS that fails is asked again, and counts as no record only when it says so', async () => {
  const it = world({ '_smtp._tls.example.net': null })
  it.reports.note(outcome('example.net'), USERS_MAIL)
  await it.until(Date.UTC(2026, 10, 22, 4, 30))
  assert.ok(it.asked.length >= 2)
  Object.assign(it.dns, HTTPS)
  await it.until(NOON + 2 * DAY_MS)
  assert.equal(it.posted.length, 1)
})

test('a relay that was down for days does not tell old news', async () => {
  const it = world(HTTPS)
  it.reports.note(outcome('example.net'), USERS_MAIL)
  await it.reports.close()
  it.nowMs = Date.UTC(2026, 10, 24, 1)
  it.restart()
  await it.until(it.nowMs + DAY_MS)
  assert.deepEqual(it.posted, [])
})

test('a spool that cannot be written loses no count and throws nothing; it is told', async () => {
  const shelf = openMemoryShelf()
  let broken = true
  const alarms: Fields[] = []
  const log = logTo((_, fields) => alarms.push(fields))
  const put: Shelf['put'] = async (...fact) => {
    if (broken) throw new Error('ENOSPC')
    await shelf.put(...fact)
  }
  const collection = new Collection({ shelf: { ...shelf, put }, now: () => NOON, log })
  collection.note(outcome('example.net'))
  await collection.flush()
  collection.note(outcome('example.net'))
  await collection.flush()
  assert.deepEqual([alarms.length, alarms[0]?.about], [2, 'TLS reports'])
  broken = false
  await collection.flush()
  assert.equal((await collection.counts(DAY, 'example.net'))[0]?.succeeded, 2)
})

test('a thousand sessions are one write', async () => {
  const shelf = openMemoryShelf()
  let writes = 0
  const put: Shelf['put'] = (...fact) => {
    writes++
    return shelf.put(...fact)
  }
  const collection = new Collection({ shelf: { ...shelf, put }, now: () => NOON, log: silent })
  for (let n = 0; n < 1000; n++) collection.note(outcome('example.net'))
  assert.equal(writes, 0)
  await collection.flush()
  await collection.flush()
  assert.equal(writes, 1)
  assert.equal((await collection.counts(DAY, 'example.net'))[0]?.succeeded, 1000)
})

test('an address literal has no record to ask for', async () => {
  const it = world()
  it.reports.note(outcome('[192.0.2.1]'), USERS_MAIL)
  await it.until(MORNING)
  assert.deepEqual(it.asked, [])
})
