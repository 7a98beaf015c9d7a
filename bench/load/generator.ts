/**
 * The generator of a benchmark, a thread of its own: sessions that send one message after the other for a time, or messages
 * that come as a Poisson process at a rate. It notes when it writes each final dot.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { copyOf, destination, outgoing, SENDER, writeId } from './message.ts'
import { contextOf, type Door, Session, type SessionEvents } from './session.ts'
import { MOST_MESSAGES, nowMs, type Shared, Timeline } from './timeline.ts'

export interface Work {
  readonly run: number
  readonly door: Door
  readonly sessions: number
  readonly sizeOctets: number
  /** Each message goes to the next of so many. */
  readonly destinations: number
  /** When to stop: after a time, and after so many messages. */
  readonly seconds: number
  readonly mostMessages: number
  /** Messages a second, whenever a session is free; null: each session sends as soon as it has got its reply. */
  readonly rate: number | null
}

export interface Worked {
  readonly run: number
  /** When the first message was begun, and when the last reply had come (`nowMs`). */
  readonly beganMs: number
  readonly endedMs: number
  /** Replies other than 250, and why sessions were closed, each once. */
  readonly complaints: readonly string[]
}

const MAIL = `MAIL FROM:<${SENDER}>\r\n`
const MOST_COMPLAINTS = 5
/** One that is not ready after this long is given up, and another one is opened. */
const HANDSHAKE_MS = 5_000
/** All are connected and signed in by then, or the system cannot be measured. */
const CONNECT_MS = 30_000
/** After the time is over: for the replies that are still to come. */
const LAST_REPLIES_MS = 30_000
/** A closed session is opened again after this long. */
const RECONNECT_MS = 20

const { shared } = workerData as { shared: Shared }
const timeline = new Timeline(shared)

class Generator implements SessionEvents {
  readonly #work: Work
  readonly #context
  readonly #template
  readonly #rcpts: readonly string[]
  readonly #idle: Session[] = []
  readonly #sessions = new Set<Session>()
  readonly #complaints = new Set<string>()
  readonly #random: () => number
  #next = 0
  #underWay = 0
  #running = false
  #beganMs = 0
  #connected = Promise.withResolvers<void>()
  #done = Promise.withResolvers<void>()

  constructor(work: Work) {
    this.#work = work
    this.#context = contextOf(work.door)
    this.#template = outgoing(work.sizeOctets)
    this.#rcpts = Array.from(
      { length: work.destinations },
      (_, at) => `RCPT TO:<bob@${destination(at + 1)}>\r\n`,
    )
    this.#random = seeded(work.run)
  }

  async run(): Promise<Worked> {
    const { run, sessions, seconds, rate } = this.#work
    for (let count = 0; count < sessions; count++) this.#open()
    await within(CONNECT_MS, this.#connected.promise, () => {
      const why = [...this.#complaints].join('; ')
      return `${this.#idle.length} of ${sessions} sessions are ready after ${CONNECT_MS / 1000} s: ${why}`
    })
    this.#beganMs = nowMs()
    this.#running = true
    if (rate === null) for (const session of this.#idle.splice(0)) this.#send(session)
    else this.#pace(rate, this.#beganMs)
    const timer = setTimeout(() => this.#stop(), seconds * 1000)
    // What is still under way then is counted by whom it reaches.
    await within(seconds * 1000 + LAST_REPLIES_MS, this.#done.promise, () => '').catch(() => {
      this.#complain(`no reply to ${this.#underWay} messages`)
    })
    clearTimeout(timer)
    const endedMs = nowMs()
    for (const session of this.#sessions) session.quit()
    return { run, beganMs: this.#beganMs, endedMs, complaints: [...this.#complaints] }
  }

  ready(session: Session): void {
    if (this.#running && this.#work.rate === null) {
      this.#send(session)
      return
    }
    this.#idle.push(session)
    if (this.#idle.length === this.#work.sessions) this.#connected.resolve()
  }

  dot(index: number): void {
    timeline.sent[index] = nowMs()
  }

  replied(_index: number, accepted: boolean, reply: string): void {
    timeline.add(accepted ? 'accepted' : 'refused')
    if (!accepted) this.#complain(reply)
    this.#underWay--
    if (!this.#running && this.#underWay === 0) this.#done.resolve()
  }

  closed(session: Session, index: number | null, reason: string): void {
    this.#sessions.delete(session)
    const at = this.#idle.indexOf(session)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#complain(reason)
    timeline.add('reconnected')
    if (index !== null) this.replied(index, false, reason)
    if (this.#running || this.#beganMs === 0) setTimeout(() => this.#open(), RECONNECT_MS)
  }

  #open(): void {
    if (this.#beganMs !== 0 && !this.#running) return
    const session = new Session(this.#work.door, copyOf(this.#template), this, this.#context)
    this.#sessions.add(session)
    setTimeout(() => session.giveUpUnlessReady(), HANDSHAKE_MS).unref()
  }

  #send(session: Session): void {
    if (this.#next >= Math.min(this.#work.mostMessages, MOST_MESSAGES)) {
      this.#stop()
      return
    }
    const index = this.#next++
    writeId(session.outgoing, this.#work.run, index)
    this.#underWay++
    session.send(index, MAIL, this.#rcpts[index % this.#rcpts.length] ?? '')
  }

  #stop(): void {
    this.#running = false
    if (this.#underWay === 0) this.#done.resolve()
  }

  /** A timer cannot tell tenths of a millisecond: all that is due by now goes when it comes. */
  #pace(rate: number, fromMs: number): void {
    let dueMs = fromMs
    const tick = () => {
      if (!this.#running) return
      const now = nowMs()
      while (dueMs <= now && this.#running) {
        const session = this.#idle.shift()
        // All are busy: it goes as soon as one is not.
        if (session === undefined) break
        this.#send(session)
        dueMs += (-Math.log(1 - this.#random()) * 1000) / rate
      }
      setTimeout(tick, 1)
    }
    tick()
  }

  #complain(reason: string): void {
    if (this.#complaints.size < MOST_COMPLAINTS) this.#complaints.add(reason)
  }
}

/** mulberry32: the same gaps in every run of that number. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

async function within<T>(ms: number, promise: Promise<T>, why: () => string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(why())), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

parentPort?.on('message', (work: Work) => {
  new Generator(work).run().then(
    worked => parentPort?.postMessage(worked),
    error => parentPort?.postMessage({ run: work.run, failed: String(error.message) }),
  )
})
