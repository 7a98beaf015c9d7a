/**
 * The relay's work without its services: a queue in memory, a clock that jumps from one due time to the next, DNS as data,
 * real sockets to whatever listens, and a signer that takes every notice.
 */

import { type ReplyRule, readReplies } from '../../src/config/replies.ts'
import type { RouteRule } from '../../src/config/routes.ts'
import type { SourceRule } from '../../src/config/sources.ts'
import type { TlsRule } from '../../src/config/tls-levels.ts'
import { scramCrypto } from '../../src/directory/scram.ts'
import type { DnsAnswer } from '../../src/dns/answer.ts'
import type { Mx, Tlsa } from '../../src/dns/rdata.ts'
import type { Language } from '../../src/message/language/words.ts'
import { Networks, UNREACHABLE } from '../../src/net/networks.ts'
import type { Resolver } from '../../src/net/resolver.ts'
import { type Fields, logTo } from '../../src/observe/event.ts'
import { openMemory } from '../../src/queue/memory/memory.ts'
import { openMemoryShelf } from '../../src/queue/memory/shelf.ts'
import type { Job, Message, NewMessage, NewRecipient, Queue } from '../../src/queue/queue.ts'
import { type Delivery, deliver, putOff } from '../../src/relay/deliver.ts'
import type { MtaSts, StsAnswer } from '../../src/relay/mta-sts/mta-sts.ts'
import { HostMemory } from '../../src/relay/reach/host-memory.ts'
import { Settler } from '../../src/relay/settle.ts'
import { SHAPE } from '../../src/relay/site/shape.ts'
import { Sites } from '../../src/relay/site/sites.ts'
import { Sources } from '../../src/relay/sources.ts'
import { Suppressions } from '../../src/relay/suppression.ts'
import { Telling } from '../../src/relay/telling.ts'
import { releasedMs } from '../../src/relay/times.ts'
import type { Outcome } from '../../src/relay/tls-report/outcome.ts'
import type { Envelope } from '../../src/smtp/envelope.ts'
import { LIMITS, TIMEOUTS } from '../../src/smtp/limits.ts'
import { reply } from '../../src/smtp/reply.ts'

export const START = Date.UTC(2026, 0, 5, 12)
export const HOUR_MS = 3_600_000
export const EXPIRE_MS = 120 * HOUR_MS

/** Name → its MX hosts; no entry: there is no such domain. */
export type Domains = Readonly<Record<string, readonly string[]>>

export interface Simulation {
  readonly queue: Queue
  /** What was noted for TLS reports. */
  readonly outcomes: readonly Outcome[]
  readonly suppressions: Suppressions
  /** What the signer was given. */
  readonly notices: readonly { readonly atMs: number; readonly envelope: Envelope; readonly text: string }[]
  readonly events: readonly { readonly name: string; readonly fields: Fields }[]
  nowMs: number
  /** Puts a message that arrives now. */
  put(
    recipients: readonly (string | NewRecipient)[],
    envelope?: Partial<Message['envelope']>,
    reversePath?: Message['reversePath'],
  ): Promise<string>
  /** Works on what is due until then, or until nothing is left. */
  run(untilMs?: number): Promise<void>
  close(): void
}

export interface SimulationOptions {
  readonly smtpPort: number
  /** MX host → its address. */
  readonly hosts: Readonly<Record<string, string>>
  readonly domains: Domains
  /** DNSSEC: whether MX answers have the AD bit, and whether that is believed. */
  readonly authenticated?: boolean
  readonly trusted?: boolean
  /** `_25._tcp.<host>` → TLSA records, by the port of the simulation. */
  readonly tlsa?: Readonly<Record<string, readonly Tlsa[] | 'bogus'>>
  /** To be asked instead of all that: a real one. */
  readonly resolver?: Pick<Resolver, 'mx' | 'addresses' | 'query'>
  /** To stand between the relay and its queue. */
  readonly around?: (queue: Queue) => Queue
  readonly content?: string
  /** 0.5 each time when not given. */
  readonly random?: () => number
  readonly language?: Language
  readonly timeouts?: typeof TIMEOUTS
  readonly sources?: readonly SourceRule[]
  readonly routes?: readonly RouteRule[]
  readonly replies?: readonly ReplyRule[]
  readonly mostIdle?: number
  /** So many jobs at a time, as sites have room for them; one by one, whatever the sites say, when not given. */
  readonly atOnce?: number
  /** Whether an error ends the relay there and then. */
  readonly isCrash?: (error: unknown) => boolean
  /** By domain. */
  readonly sts?: Readonly<Record<string, StsAnswer>>
  /** To be asked instead of that: a real one. */
  readonly mtaSts?: Pick<MtaSts, 'policyFor'>
  readonly tlsLevels?: readonly TlsRule[]
  /** 127.0.0.0/8 when not given. */
  readonly privateNetworks?: readonly string[]
}

export const ALICE = { localPart: 'Alice', domain: 'Example.ORG' }
const CONTENT = 'From: Alice@Example.ORG\r\nSubject: Dinner\r\n\r\nHow about tonight?\r\n'

export function recipient(
  text: string,
  wishes: Omit<NewRecipient, 'mailbox' | 'destination'> = {},
): NewRecipient {
  const [localPart = '', domain = ''] = text.split('@')
  return { mailbox: { localPart, domain }, destination: domain.toLowerCase(), ...wishes }
}

export function simulate(options: SimulationOptions): Simulation {
  const { domains, hosts, authenticated = false, trusted = true } = options
  const queue = (options.around ?? (inner => inner))(openMemory())
  const notices: { atMs: number; envelope: Envelope; text: string }[] = []
  const events: { name: string; fields: Fields }[] = []
  const outcomes: Outcome[] = []
  const log = logTo((name, fields) => events.push({ name, fields }))
  const sites = new Sites({
    shapeOf: () => SHAPE,
    now: () => simulation.nowMs,
    unpark: destination => queue.unpark(destination),
    ...(options.mostIdle === undefined ? {} : { mostIdle: options.mostIdle }),
  })
  const shelf = openMemoryShelf()
  const sent = new Map<string, number>()
  const counts = {
    get: (source: string, day: number) => sent.get(`${source}/${day}`) ?? 0,
    add: async (source: string, day: number, messages: number) =>
      void sent.set(`${source}/${day}`, counts.get(source, day) + messages),
  }
  let ids = 0
  const suppressions = new Suppressions(shelf, () => simulation.nowMs)
  const simulation: Simulation = {
    queue,
    outcomes,
    suppressions,
    notices,
    events,
    nowMs: START,
    async put(recipients, envelope = {}, reversePath = ALICE) {
      const id = `01KAXE00000000000000000${String(ids++).padStart(3, '0')}`
      const all = recipients.map(one => (typeof one === 'string' ? recipient(one) : one))
      const arrivedMs = simulation.nowMs
      const dueMs = releasedMs({ arrivedMs, envelope })
      const message: NewMessage = {
        id,
        arrivedMs,
        dueMs,
        expiresMs: dueMs + EXPIRE_MS,
        recipients: all,
        envelope: {
          reversePath,
          body: '7BIT',
          smtputf8: false,
          ...envelope,
          recipients: all.map(({ mailbox }) => ({ forwardPath: mailbox })),
        },
      }
      await queue.put(message, [Buffer.from(options.content ?? CONTENT)])
      return id
    },
    async run(untilMs = Number.POSITIVE_INFINITY) {
      for (;;) {
        const dueMs = await queue.nextDue()
        if (dueMs === null || dueMs > untilMs) break
        simulation.nowMs = Math.max(simulation.nowMs, dueMs)
        const work = async (job: Job) => {
          const place = sites.enter(job.destination)
          await deliver(job, delivery, place)
            .catch(error => {
              if (options.isCrash?.(error)) throw error
              return putOff(job, error, delivery)
            })
            .finally(() => place.leave())
        }
        const { atOnce } = options
        if (atOnce === undefined) for (const job of await queue.lease(simulation.nowMs, 1)) await work(job)
        else await Promise.all((await queue.lease(simulation.nowMs, atOnce, sites.round())).map(work))
      }
      if (untilMs !== Number.POSITIVE_INFINITY) simulation.nowMs = Math.max(simulation.nowMs, untilMs)
    },
    close: () => sites.close(),
  }
  const settler = new Settler(queue, log)
  const delivery: Delivery = {
    queue,
    lookup: {
      trusted,
      resolver: options.resolver ?? {
        async mx(domain): Promise<DnsAnswer<Mx>> {
          const exchanges = domains[domain]
          if (exchanges === undefined) return { kind: 'nxdomain', ttlSeconds: 60, authenticated }
          if (exchanges.length === 0) return { kind: 'nodata', ttlSeconds: 60, authenticated }
          const records = exchanges.map((exchange, n) => ({ preference: n, exchange }))
          return { kind: 'answer', name: domain, records, ttlSeconds: 60, authenticated }
        },
        async query(name, type) {
          const records = type === 'TLSA' ? (options.tlsa?.[name] ?? []) : []
          if (records === 'bogus') return { kind: 'failure', code: 'SERVFAIL', reason: 'DNSSEC is bogus' }
          if (records.length === 0) return { kind: 'nodata', ttlSeconds: 60, authenticated }
          return { kind: 'answer', name, records: records as never, ttlSeconds: 60, authenticated }
        },
        async addresses(host) {
          const address = hosts[host]
          if (address === undefined) return { kind: 'nxdomain', ttlSeconds: 60, authenticated }
          const records = [{ address, family: 4 as const }]
          return { kind: 'answer', name: host, records, ttlSeconds: 60, authenticated }
        },
      },
    },
    settler,
    telling: new Telling({
      queue,
      settler,
      hostname: 'mail.example.org',
      postmaster: 'postmaster@example.org',
      language: options.language ?? 'en',
      expireMs: EXPIRE_MS,
      now: () => simulation.nowMs,
      wake: () => {},
      log,
    }),
    signer: {
      async deliver(envelope, content) {
        notices.push({ atMs: simulation.nowMs, envelope, text: Buffer.concat(content).toString('latin1') })
        return reply(250, '2.0.0', 'Kept')
      },
    },
    suppressions,
    suppressMs: 30 * 24 * HOUR_MS,
    replies: options.replies ?? readReplies(undefined),
    sources: new Sources(
      () => options.sources ?? [],
      'mail.example.org',
      counts,
      () => simulation.nowMs,
    ),
    routes: options.routes ?? [],
    tlsReports: { note: outcome => outcomes.push(outcome) },
    mtaSts: options.mtaSts ?? {
      async policyFor(domain) {
        return options.sts?.[domain] ?? { kind: 'none', reason: 'there is no record' }
      },
    },
    tlsLevels: options.tlsLevels ?? [],
    scram: scramCrypto,
    memory: new HostMemory(() => simulation.nowMs),
    unreachable: UNREACHABLE,
    privateNetworks: new Networks(options.privateNetworks ?? ['127.0.0.0/8']),
    hostname: 'mail.example.org',
    smtpPort: options.smtpPort,
    connectMs: 5000,
    timeouts: options.timeouts ?? TIMEOUTS,
    replyLineOctets: LIMITS.replyLineOctetsRead,
    retryMs: [5, 10, 20, 40, 60, 120, 240].map(minutes => minutes * 60_000),
    warnMs: 4 * HOUR_MS,
    now: () => simulation.nowMs,
    random: options.random ?? (() => 0.5),
    log,
  }
  return simulation
}
