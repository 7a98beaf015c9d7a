/** Generator and sink, and one run of them against a system that is up. They live as long as the bench: no run pays for their start. */

import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { freePort } from '../../test/peers/port.ts'
import type { Work, Worked } from './generator.ts'
import type { Door } from './session.ts'
import type { SinkData, SinkWord } from './sink.ts'
import { MOST_MESSAGES, nowMs, shareTimeline, Timeline } from './timeline.ts'

/** Where destination number n is: 127.0.1.n, n from 1. */
export const MOST_DESTINATIONS = 100
export const addressOf = (destination: number): string => `127.0.1.${destination}`

export interface Order {
  readonly sessions: number
  readonly sizeOctets: number
  readonly destinations: number
  readonly seconds: number
  readonly mostMessages?: number
  /** Messages a second; null: as many as it takes. */
  readonly rate: number | null
}

export interface Flow {
  readonly accepted: number
  readonly refused: number
  readonly delivered: number
  /** Second copies of a message. */
  readonly again: number
  /** From the first message begun until the last one was at the sink. */
  readonly seconds: number
  readonly perSecond: number
  /** From the final dot in to the final dot out, in ascending order. */
  readonly latenciesMs: Float64Array
  readonly complaints: readonly string[]
  /** Messages as they arrived. */
  readonly samples: readonly Uint8Array[]
}

/** Nothing new for this long: the rest does not come any more. */
const QUIET_MS = 5_000
/** And in all not longer than this after the last one was taken in. */
const DRAIN_MS = 45_000
const LOOK_MS = 5

/** What is free at 127.0.0.1 may be taken at one of the many addresses: then another port is tried. */
async function startSink(
  data: Omit<SinkData, 'port'>,
  port: number | undefined,
): Promise<{ readonly sink: Worker; readonly sinkPort: number }> {
  for (let attempt = 1; ; attempt++) {
    const sinkPort = port ?? (await freePort())
    const workerData: SinkData = { ...data, port: sinkPort }
    const sink = new Worker(new URL('./sink.ts', import.meta.url), { workerData })
    try {
      await once(sink, 'message')
      return { sink, sinkPort }
    } catch (error) {
      await sink.terminate()
      if (port !== undefined || attempt === 10) throw error
    }
  }
}

export class Load {
  readonly #generator: Worker
  readonly #sink: Worker
  readonly #timeline: Timeline
  readonly #samples: { run: number; sample: Uint8Array }[] = []
  #run = 0

  /** Where the sink listens, on the addresses of all destinations. */
  readonly sinkPort: number

  private constructor(generator: Worker, sink: Worker, timeline: Timeline, sinkPort: number) {
    this.sinkPort = sinkPort
    this.#generator = generator
    this.#sink = sink
    this.#timeline = timeline
    sink.on('message', (word: SinkWord) => 'sample' in word && this.#samples.push(word))
  }

  /** @param port where the sink listens; one that is free when not given */
  static async start(port?: number): Promise<Load> {
    const shared = shareTimeline()
    const addresses = Array.from({ length: MOST_DESTINATIONS }, (_, at) => addressOf(at + 1))
    const { sink, sinkPort } = await startSink({ shared, addresses, sampleEvery: 101, mostSamples: 8 }, port)
    const generator = new Worker(new URL('./generator.ts', import.meta.url), { workerData: { shared } })
    return new Load(generator, sink, new Timeline(shared), sinkPort)
  }

  /** Sends, and waits until all that was accepted has arrived or nothing comes any more. @throws Error when no session can be had */
  async run(door: Door, order: Order): Promise<Flow> {
    const run = (this.#run % 9999) + 1
    this.#run = run
    this.#samples.length = 0
    this.#timeline.begin(run)
    const work: Work = {
      run,
      door,
      sessions: order.sessions,
      sizeOctets: order.sizeOctets,
      destinations: order.destinations,
      seconds: order.seconds,
      mostMessages: order.mostMessages ?? MOST_MESSAGES,
      rate: order.rate,
    }
    this.#generator.postMessage(work)
    const [worked] = (await once(this.#generator, 'message')) as [Worked | { readonly failed: string }]
    if ('failed' in worked) throw new Error(worked.failed)
    await this.#drained()
    return this.#flow(worked)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#generator.terminate(), this.#sink.terminate()])
  }

  async #drained(): Promise<void> {
    const untilMs = nowMs() + DRAIN_MS
    let last = this.#timeline.count('delivered')
    let lastMs = nowMs()
    while (nowMs() < untilMs && nowMs() - lastMs < QUIET_MS) {
      const delivered = this.#timeline.count('delivered')
      if (delivered >= this.#timeline.count('accepted')) return
      if (delivered !== last) lastMs = nowMs()
      last = delivered
      await pause(LOOK_MS)
    }
  }

  #flow({ run, beganMs, complaints }: Worked): Flow {
    const { sent, arrived } = this.#timeline
    const latencies: number[] = []
    let lastMs = beganMs
    for (const [index, arrivedMs] of arrived.entries()) {
      if (arrivedMs === 0) continue
      latencies.push(arrivedMs - (sent[index] ?? 0))
      if (arrivedMs > lastMs) lastMs = arrivedMs
    }
    const seconds = (lastMs - beganMs) / 1000
    return {
      accepted: this.#timeline.count('accepted'),
      refused: this.#timeline.count('refused'),
      delivered: latencies.length,
      again: this.#timeline.count('again'),
      seconds,
      perSecond: latencies.length / Math.max(seconds, 0.001),
      latenciesMs: Float64Array.from(latencies).sort(),
      complaints,
      samples: this.#samples.filter(each => each.run === run).map(({ sample }) => sample),
    }
  }
}
