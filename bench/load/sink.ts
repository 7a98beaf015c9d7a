/**
 * The Internet of a benchmark: a thread that takes every message on many addresses of 127.0.0.0/8, as cheaply as it can. It
 * speaks PIPELINING, SIZE and 8BITMIME (RFC 5321, 2920, 1870, 6152), no STARTTLS. Of some messages it keeps the octets.
 */

import { createServer, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { ID_MARK, readId } from './message.ts'
import { type Shared, Timeline } from './timeline.ts'

export interface SinkData {
  readonly shared: Shared
  readonly port: number
  readonly addresses: readonly string[]
  /** Of every so many messages one is kept; the first of a run always is. */
  readonly sampleEvery: number
  /** And not more of a run than these. */
  readonly mostSamples: number
}

/** To the bench: it listens; a message as it arrived, dots not doubled (none begins a line). */
export type SinkWord = { readonly listening: true } | { readonly run: number; readonly sample: Uint8Array }

const END = Buffer.from('\r\n.\r\n')
const MARK = Buffer.from(ID_MARK)
/** Of the end of what came before: an id, and an end of content, may be cut in two. */
const KEPT = 64
const EHLO =
  '250-sink.bench.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n'

const data = workerData as SinkData
const timeline = new Timeline(data.shared)
let samples = { run: -1, count: 0 }

function isSampled(run: number, index: number): boolean {
  if (samples.run !== run) samples = { run, count: 0 }
  if (samples.count > 0 && index % data.sampleEvery !== 0) return false
  return samples.count++ < data.mostSamples
}

class Session {
  readonly #socket: Socket
  #line = ''
  #inContent = false
  /** The last octets of the content so far. */
  #tail: Buffer = Buffer.alloc(0)
  #id: { run: number; index: number } | null = null
  /** What came before the id was seen, or of a message that is kept. */
  #chunks: Buffer[] = []
  #keep = true

  constructor(socket: Socket) {
    this.#socket = socket
    socket.write('220 sink.bench.test ESMTP\r\n')
    socket.on('data', chunk => this.#receive(chunk))
    // Whoever goes away has what it was told.
    socket.on('error', () => socket.destroy())
  }

  #receive(chunk: Buffer): void {
    let rest = chunk
    for (;;) {
      if (this.#inContent) {
        const after = this.#content(rest)
        if (after === null) return
        rest = after
      }
      if (rest.length === 0) return
      const after = this.#commands(rest)
      if (after === null) return
      rest = after
    }
  }

  /** Answers lines, all in one write; what follows DATA, or null. */
  #commands(octets: Buffer): Buffer | null {
    const text = this.#line + octets.toString('latin1')
    const carried = this.#line.length
    let replies = ''
    let begin = 0
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n', begin)) {
      const verb = text.slice(begin, begin + 4).toUpperCase()
      begin = end + 2
      if (verb === 'DATA') {
        this.#line = ''
        this.#beginContent()
        this.#socket.write(`${replies}354 Go on\r\n`)
        return octets.subarray(begin - carried)
      }
      if (verb === 'QUIT') {
        this.#socket.end(`${replies}221 2.0.0 Bye\r\n`)
        return null
      }
      if (verb === 'EHLO') replies += EHLO
      else if (verb === 'RCPT') replies += '250 2.1.5 OK\r\n'
      else if (verb === 'HELO') replies += '250 sink.bench.test\r\n'
      else replies += '250 2.0.0 OK\r\n'
    }
    this.#line = text.slice(begin)
    if (replies !== '') this.#socket.write(replies)
    return null
  }

  #beginContent(): void {
    this.#inContent = true
    // The end of the line DATA: content may be nothing but a dot.
    this.#tail = Buffer.from('\r\n')
    this.#id = null
    this.#chunks = []
    this.#keep = true
  }

  /** What follows the content, or null: it goes on. */
  #content(octets: Buffer): Buffer | null {
    const joined = this.#tail.length
    const end = endOf(this.#tail, octets)
    const content = end === null ? octets : octets.subarray(0, end)
    if (this.#keep) this.#look(content)
    if (end === null) {
      const both = octets.length >= KEPT ? octets : Buffer.concat([this.#tail, octets])
      // A copy: what it is cut from is a chunk of 64 KiB.
      this.#tail = Buffer.from(both.subarray(Math.max(0, both.length - KEPT)))
      return null
    }
    if (joined > 0) this.#tail = Buffer.alloc(0)
    this.#finish()
    return octets.subarray(end)
  }

  /** Looks for the id; all that came is kept until then. */
  #look(content: Buffer): void {
    this.#chunks.push(content)
    if (this.#id !== null) return
    const whole = this.#chunks.length === 1 ? content : Buffer.concat(this.#chunks)
    const mark = whole.indexOf(MARK)
    if (mark < 0) return
    this.#id = readId(whole, mark + MARK.length)
    if (this.#id === null) return
    this.#keep = isSampled(this.#id.run, this.#id.index)
    if (!this.#keep) this.#chunks = []
  }

  #finish(): void {
    this.#inContent = false
    if (this.#id === null) timeline.add('strange')
    else timeline.arrive(this.#id.run, this.#id.index)
    this.#socket.write('250 2.0.0 OK\r\n')
    if (this.#id !== null && this.#keep) {
      const sample = Buffer.concat(this.#chunks).subarray(0, -3)
      parentPort?.postMessage({ run: this.#id.run, sample: new Uint8Array(sample) } satisfies SinkWord)
    }
    this.#chunks = []
  }
}

/** Where in `octets` the content has ended, its final dot included; null: not in them. */
function endOf(tail: Buffer, octets: Buffer): number | null {
  // Most messages end where a chunk does, and then it need not be searched.
  const last = octets.length - END.length
  if (last >= 0 && octets.subarray(last).equals(END)) return octets.length
  const overlap = Math.min(tail.length, END.length - 1)
  const seam = Buffer.concat([tail.subarray(tail.length - overlap), octets.subarray(0, END.length - 1)])
  const cut = seam.indexOf(END)
  if (cut >= 0) return cut + END.length - overlap
  const found = octets.indexOf(END)
  return found < 0 ? null : found + END.length
}

let missing = data.addresses.length
for (const address of data.addresses) {
  const server = createServer({ noDelay: true }, socket => new Session(socket))
  server.listen({ port: data.port, host: address, backlog: 1024 }, () => {
    if (--missing === 0) parentPort?.postMessage({ listening: true } satisfies SinkWord)
  })
}
