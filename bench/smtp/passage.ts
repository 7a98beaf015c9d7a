/**
 * What a message of 25 MiB costs submission in memory on its way to the signer: the peak of the resident memory while it
 * passes, over what it was before, and of what it consists. The process has passed large messages by then, one after the
 * other: the young generation of V8 has grown for garbage at that rate. It grows further with what more messages bring in a
 * second, to 128 MiB at most, and does not shrink: that is no memory of the messages, but it is in the figure. The signer
 * here throws away what it gets, as fast as it comes or at 4 MiB/s a message; clients send as fast as they may.
 */

import { scramCrypto } from '../../src/directory/scram.ts'
import { hopSession } from '../../src/net/hop.ts'
import { type Listener, listen, type SessionHandler } from '../../src/net/listener.ts'
import { submit } from '../../src/net/submit.ts'
import { type KeyPair, TlsAcceptor } from '../../src/net/tls.ts'
import { silent } from '../../src/observe/event.ts'
import { TIMEOUTS } from '../../src/smtp/limits.ts'
import { reply } from '../../src/smtp/reply.ts'
import type { Figure } from './report.ts'
import { MIB, PASSWORD, type SubmissionProcess, startSubmissionProcess, USERNAME } from './submission.ts'

const HEADER = `From: ${USERNAME}\r\nTo: bob@example.net\r\nSubject: large\r\n\r\n`
const LINE = `${'x'.repeat(76)}\r\n`
const SLOW_OCTETS_PER_MS = (4 * MIB) / 1000

function message(octets: number): Buffer {
  return Buffer.from(HEADER + LINE.repeat(Math.floor((octets - HEADER.length) / LINE.length)))
}

const LARGE = message(25 * MIB - 1024)

export async function passage(quick: boolean): Promise<Figure[]> {
  if (process.platform !== 'linux') {
    console.error('SKIPPED: passage: the memory of a process is read from /proc')
    return []
  }
  const many = quick ? 8 : 32
  const figures: Figure[] = []
  for (const pace of quick ? (['slow'] as const) : (['normal', 'slow'] as const)) {
    const signer = new Signer()
    const submission = await startSubmissionProcess((pair, ca) => signer.start(pair, ca))
    try {
      for (let i = 0; i < (quick ? 20 : 40); i++) await send(submission, LARGE)
      signer.slow = pace === 'slow'
      for (const inFlight of [1, many]) figures.push(await measure(submission, pace, inFlight))
    } finally {
      await submission.stop()
      await signer.stop()
    }
  }
  return figures
}

async function measure(submission: SubmissionProcess, pace: string, inFlight: number): Promise<Figure> {
  const { memory } = submission
  await submission.ask('forget')
  memory.forget()
  const before = memory.octets
  const begin = performance.now()
  await Promise.all(Array.from({ length: inFlight }, () => send(submission, LARGE)))
  const seconds = (performance.now() - begin) / 1000
  const peak = memory.peakOctets
  const grown = Object.entries(await submission.ask('parts')).map(
    ([part, octets]) => `${part} ${mib(octets)}`,
  )
  const rate = `${Math.round((inFlight * 25) / seconds)} MiB/s`
  return {
    name: `memory for each of ${inFlight} × 25 MiB, ${pace} signer`,
    value: (peak - before) / MIB / inFlight,
    unit: 'MiB',
    aim: { most: 2 },
    note: `${mib(before)} → ${mib(peak)} MiB, ${rate}; most of each part, in MiB: ${grown.join(', ')}`,
  }
}

const mib = (octets: number): number => Math.round(octets / MIB)

async function send(submission: SubmissionProcess, content: Buffer): Promise<void> {
  const { port, ca } = submission
  const { message: answer } = await submit(
    { server: { host: '127.0.0.1', port }, username: USERNAME, password: PASSWORD, ca },
    {
      reversePath: { localPart: 'alice', domain: 'example.test' },
      recipients: [{ forwardPath: { localPart: 'bob', domain: 'example.net' } }],
      body: '7BIT',
      smtputf8: false,
    },
    [content],
    { hostname: 'client.example.test', timeouts: TIMEOUTS, scram: scramCrypto },
  )
  if (answer?.code !== 250) throw new Error(`refused: ${JSON.stringify(answer)}`)
}

/** The next hop: takes everything and keeps nothing. */
class Signer {
  /** 4 MiB/s for each message. */
  slow = false
  #listener: Listener | null = null

  async start(pair: KeyPair, ca: string): Promise<number> {
    this.#listener = await listen({
      address: { host: '127.0.0.1', port: 0 },
      session: hopSession('signer.example.test'),
      acceptor: TlsAcceptor.forHop(pair, ca, 30_000),
      idleMs: 300_000,
      maxConnections: 1000,
      log: silent,
      handler: () => this.#handler(),
    })
    return this.#listener.port
  }

  async stop(): Promise<void> {
    await this.#listener?.close(0)
  }

  #handler(): SessionHandler {
    let takenOctets = 0
    let begunMs = 0
    return {
      mail: () => {
        takenOctets = 0
        begunMs = performance.now()
        return reply(250, '2.1.0', 'OK')
      },
      rcpt: () => reply(250, '2.1.5', 'OK'),
      content: octets => {
        takenOctets += octets.length
        const waitMs = begunMs + takenOctets / SLOW_OCTETS_PER_MS - performance.now()
        return this.slow && waitMs > 1 ? new Promise(resolve => setTimeout(resolve, waitMs)) : undefined
      },
      message: async () => reply(250, '2.0.0', 'Taken'),
      reset: () => {},
    }
  }
}
