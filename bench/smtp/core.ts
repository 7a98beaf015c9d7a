/** The server's core alone: octets in, events out, replies back, no socket. One thread of one core. */

import { ContentDecoder } from '../../src/smtp/data.ts'
import { LIMITS } from '../../src/smtp/limits.ts'
import { fixedReply, reply } from '../../src/smtp/reply.ts'
import { type ServerOptions, ServerSession } from '../../src/smtp/server.ts'
import { type Figure, median, type Spent, spent } from './report.ts'

const MESSAGE_OCTETS = 4096
const SCANNED_OCTETS = 3e8
const OPTIONS: ServerOptions = {
  hostname: 'mail.example.com',
  limits: { ...LIMITS, transactions: Number.POSITIVE_INFINITY },
  tls: 'implicit',
  auth: [],
  authRequired: false,
  tlsRequired: false,
  hop: true,
}
const ANSWERS = {
  mail: fixedReply(250, '2.1.0', 'Sender accepted'),
  rcpt: fixedReply(250, '2.1.5', 'Recipient accepted'),
}
const XPTT = 'XPTT=01J9ZK4V8Y3QW5T7N2M6C1D0EX/0123456789012345678901234567890123456789'

/** Lines of such lengths, again and again, `octets` in all. */
function text(octets: number, lengths: readonly number[]): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz'.repeat(40)
  let lines = ''
  for (let at = 0; lines.length < octets; at++)
    lines += `${alphabet.slice(0, lengths[at % lengths.length])}\r\n`
  return `${lines.slice(0, octets - 2)}\r\n`
}

const BASE64 = [76]
const PROSE = [72, 0, 65, 70, 33, 71, 68, 2, 60]

const TRANSACTIONS: Readonly<Record<string, string>> = {
  DATA:
    'MAIL FROM:<alice@example.com> SIZE=4096 BODY=8BITMIME\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n' +
    `${text(MESSAGE_OCTETS, BASE64)}.\r\n`,
  BDAT:
    `MAIL FROM:<alice@example.com> BODY=8BITMIME AUTH=alice@example.com ${XPTT}\r\n` +
    `RCPT TO:<bob@example.net>\r\nBDAT ${MESSAGE_OCTETS} LAST\r\n${text(MESSAGE_OCTETS, BASE64)}`,
}

export function core(quick: boolean): Figure[] {
  const rounds = quick ? 5 : 15
  const figures: Figure[] = []
  for (const [verb, dialogue] of Object.entries(TRANSACTIONS)) {
    const run = transactions(Buffer.from(dialogue, 'latin1'))
    run(20_000)
    const count = quick ? 30_000 : 100_000
    const spells = Array.from({ length: rounds }, () => spent(() => run(count)))
    figures.push(...rates(`transactions of 4 KiB, ${verb}`, spells, count, '/s', 100_000))
  }
  for (const [kind, lengths] of [
    ['76-octet lines', BASE64],
    ['prose', PROSE],
  ] as const) {
    for (const chunkOctets of quick ? [65_536] : [4096, 16_384, 65_536]) {
      const run = scan(Buffer.from(text(chunkOctets, lengths), 'latin1'))
      run(SCANNED_OCTETS)
      const spells = Array.from({ length: rounds }, () => spent(() => run(SCANNED_OCTETS)))
      const name = `body through DATA, ${kind}, reads of ${chunkOctets}`
      figures.push(...rates(name, spells, SCANNED_OCTETS / 1e9, 'GB/s', 1.5))
    }
  }
  return figures
}

/** The best round is the one that others at work on the machine have disturbed least. */
function rates(name: string, spells: readonly Spent[], count: number, unit: string, least: number): Figure[] {
  const cpu = spells.map(({ cpuSeconds }) => count / cpuSeconds)
  const wall = spells.map(({ wallSeconds }) => count / wallSeconds)
  return [
    {
      name: `${name}: CPU time`,
      value: Math.max(...cpu),
      unit,
      aim: { least },
      note: `median ${short(median(cpu))}`,
    },
    { name: `${name}: wall time`, value: Math.max(...wall), unit, note: `median ${short(median(wall))}` },
  ]
}

const short = (value: number): string => value.toLocaleString('en', { maximumSignificantDigits: 4 })

/** One session, one transaction after the other, each whole in one read as pipelining clients and hops send it. */
function transactions(dialogue: Buffer): (count: number) => void {
  const session = new ServerSession(OPTIONS)
  for (const _ of session.receive(Buffer.from('EHLO client.example.com\r\n')));
  return count => {
    let messages = 0
    for (let i = 0; i < count; i++) {
      for (const event of session.receive(dialogue)) {
        const { type } = event
        if (type === 'mail' || type === 'rcpt') session.reply(ANSWERS[type])
        // It names the message: a new one each time.
        else if (type === 'message') session.reply(reply(250, '2.0.0', `Queued as ${++messages}`))
      }
    }
    if (messages !== count) throw new Error(`${messages} messages of ${count}`)
  }
}

/** A body without end. */
function scan(chunk: Buffer): (octets: number) => void {
  return octets => {
    const decoder = new ContentDecoder(true, { ...LIMITS, messageOctets: Number.MAX_SAFE_INTEGER })
    for (let done = 0; done < octets; done += chunk.length) decoder.decode(chunk, 0, chunk.length)
    if (decoder.fault !== null) throw decoder.fault
  }
}
