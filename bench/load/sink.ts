/**
 * The Internet of a benchmark: a thread that takes every message on many addresses of 127.0.0.0/8, as cheaply as it can. It
 * speaks PIPELINING, SIZE, 8BITMIME and CHUNKING (RFC 5321, 2920, 1870, 6152, 3030), as those do who take most of the world's
 * mail, but no STARTTLS. Of some messages it keeps the octets.
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
  '250-sink.bench.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n'

const OK = '250 2.0.0 OK\r\n'
const REPLIES: Readonly<Record<string, string>> = {
  EHLO,
  HELO: '250 sink.bench.test\r\n',
  RCPT: '250 2.1.5 OK\r\n',
  DATA: '354 Go on\r\n',
  QUIT: '221 2.0.0 Bye\r\n',
}
const NOTHING = Buffer.alloc(0)
/** The dot that ends content, and its CRLF. */
const DOT_LINE = 3

/** Of BDAT: octets that are to come. */
interface Chunk {
  readonly left: number
  readonly last: boolean
}

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
  /** Of a line that is not here whole yet. */
  #line: Buffer = NOTHING
  /** What comes is content: until a dot, or so many octets more (RFC 3030). */
  #content: 'until a dot' | Chunk | null = null
  /** More chunks of the same message are to come. */
  #chunked = false
  #gone = false
  /** The last octets of the content so far. */
  #tail: Buffer = NOTHING
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

  /** Answers all that came in one write. */
  #receive(octets: Buffer): void {
    const replies: string[] = []
    let rest = octets
    while (rest.length > 0) {
      const after =
        this.#content === null
          ? this.#command(rest, replies)
          : this.#content === 'until a dot'
            ? this.#untilDot(rest, replies)
            : this.#chunk(rest, this.#content, replies)
      if (after === null) break
      rest = after
    }
    if (replies.length > 0) this.#socket.write(replies.join(''))
    if (this.#gone) this.#socket.end()
  }

  /** What follows a line, or null: it has not come whole. */
  #command(octets: Buffer, replies: string[]): Buffer | null {
    const come = this.#line.length === 0 ? octets : Buffer.concat([this.#line, octets])
    const end = come.indexOf('\r\n')
    this.#line = end < 0 ? come : NOTHING
    if (end < 0) return null
    const [verb = '', argument = '', last] = come.toString('latin1', 0, end).toUpperCase().split(' ', 3)
    if (verb === 'DATA') {
      this.#begin('until a dot')
      // The end of the line DATA: content may be nothing but a dot.
      this.#tail = Buffer.from('\r\n')
    } else if (verb === 'BDAT') {
      if (!this.#chunked) this.#begin(null)
      this.#chunked = last !== 'LAST'
      this.#content = { left: Number(argument), last: !this.#chunked }
      return come.subarray(end + 2)
    } else if (verb === 'QUIT') this.#gone = true
    replies.push(REPLIES[verb] ?? OK)
    return come.subarray(end + 2)
  }

  #begin(content: 'until a dot' | null): void {
    this.#content = content
    this.#id = null
    this.#chunks = []
    this.#keep = true
  }

  /** What follows the chunk, or null: it goes on. Chunks of a message are content one after the other. */
  #chunk(octets: Buffer, chunk: Chunk, replies: string[]): Buffer | null {
    const here = octets.subarray(0, chunk.left)
    if (this.#keep) this.#look(here)
    if (here.length < chunk.left) {
      this.#content = { ...chunk, left: chunk.left - here.length }
      return null
    }
    this.#content = null
    if (chunk.last) this.#finish(this.#chunks)
    replies.push(OK)
    return octets.subarray(here.length)
  }

  /** What follows the content, or null: it goes on. */
  #untilDot(octets: Buffer, replies: string[]): Buffer | null {
    const end = endOf(this.#tail, octets)
    if (this.#keep) this.#look(end === null ? octets : octets.subarray(0, end))
    if (end === null) {
      const both = octets.length >= KEPT ? octets : Buffer.concat([this.#tail, octets])
      // A copy: what it is cut from is a chunk of 64 KiB.
      this.#tail = Buffer.from(both.subarray(Math.max(0, both.length - KEPT)))
      return null
    }
    this.#tail = NOTHING
    this.#content = null
    this.#finish([Buffer.concat(this.#chunks).subarray(0, -DOT_LINE)])
    replies.push(OK)
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

  /** The last of the message has come. `content`: of one that is kept. */
  #finish(content: readonly Buffer[]): void {
    if (this.#id === null) timeline.add('strange')
    else timeline.arrive(this.#id.run, this.#id.index)
    if (this.#id !== null && this.#keep) {
      const sample = new Uint8Array(Buffer.concat(content))
      parentPort?.postMessage({ run: this.#id.run, sample } satisfies SinkWord)
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
