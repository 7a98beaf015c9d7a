/**
 * The transcripts of `client/*.md`, in the notation of RFC 5321 Appendix D, replayed against `ClientSession`.
 *
 * - `A: command` is what is asked of the session, with the parameters of every extension; `A: .` is the end of data, `A: TLS`
 *   the end of a handshake. `C: command` is what it writes: with the parameters that the server has offered.
 * - `S: text` is a line of the server; `E: verb reply` is what the session makes of it.
 *
 * Each is replayed with what the server says line by line; octet by octet; whole, as far as the client waits for nothing; and
 * that cut at every position. `UPDATE_TRANSCRIPTS=1` writes down what the
 * session says: read the difference before it is committed.
 */

import assert from 'node:assert/strict'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { ClientSession } from '../../src/smtp/client.ts'
import { parseCommand } from '../../src/smtp/command.ts'
import { SmtpError } from '../../src/smtp/error.ts'
import { parameterTable } from '../../src/smtp/extension.ts'
import { formatReply } from '../../src/smtp/reply.ts'

const EVERYTHING = { table: parameterTable({ has: () => true }), utf8: true }

/** The octets of a command; none for what only is so. */
function ask(session: ClientSession, line: string): Uint8Array {
  if (line === '.') session.endOfData()
  if (line === 'TLS') session.secured()
  if (line === '.' || line === 'TLS') return new Uint8Array(0)
  const command = parseCommand(line, EVERYTHING)
  switch (command.verb) {
    case 'EHLO':
      return session.ehlo()
    case 'HELO':
      return session.helo()
    case 'MAIL':
      return session.mail(command.reversePath, command.parameters)
    case 'RCPT':
      return session.rcpt({ forwardPath: command.forwardPath, ...command.parameters })
    case 'BDAT':
      return session.bdat(command.sizeOctets, command.last)
    case 'DATA':
      return session.data()
    case 'STARTTLS':
      return session.starttls()
    case 'RSET':
      return session.rset()
    case 'QUIT':
      return session.quit()
    default:
      throw new Error(`nobody asks a client for ${command.verb}`)
  }
}

function play(hostname: string, lines: readonly string[], pieces: (octets: Buffer) => Buffer[]): string[] {
  const session = new ClientSession({ hostname })
  const log: string[] = []
  for (const line of lines) {
    if (!/^[AS]: /.test(line)) continue
    log.push(line)
    const text = line.slice(3)
    try {
      if (line.startsWith('A')) {
        const said = Buffer.from(ask(session, text)).toString()
        if (said !== '') log.push(`C: ${said.replace(/\r\n$/, '')}`)
        continue
      }
      for (const piece of pieces(Buffer.from(`${text}\r\n`))) {
        for (const event of session.receive(piece)) {
          log.push('reply' in event ? `E: ${event.verb} ${formatReply(event.reply)}` : 'E: send')
        }
      }
    } catch (error) {
      if (!(error instanceof SmtpError)) throw error
      log.push(`E: error ${formatReply(error.reply)}`)
    }
  }
  return log
}

/** Lines of the server that come with nothing said between them, as one. */
function merged(lines: readonly string[]): string[] {
  const whole: string[] = []
  for (const line of lines) {
    const last = whole.at(-1)
    if (last?.startsWith('S') && line.startsWith('S'))
      whole.splice(-1, 1, `${last}\r\n${line.slice('S: '.length)}`)
    else whole.push(line)
  }
  return whole
}

/** What the session says and makes of it all, whenever it does. */
const made = (log: readonly string[]): string[] => log.filter(line => /^[CE]/.test(line))

const files = globSync(join(import.meta.dirname, 'client', '*.md')).sort()

const DIALOGUE = /^```text\n(.*?)^```$/ms

for (const file of files) {
  const text = readFileSync(file, 'utf8')
  const hostname = /^- hostname: (.*)$/m.exec(text)?.[1] ?? 'bar.com'
  const lines = (DIALOGUE.exec(text)?.[1] ?? '').split('\n').filter(Boolean)
  if (process.env.UPDATE_TRANSCRIPTS === '1') {
    const said = play(hostname, lines, octets => [octets])
    writeFileSync(
      file,
      text.replace(DIALOGUE, () => `\`\`\`text\n${said.join('\n')}\n\`\`\``),
    )
  }
  test(`client transcript: ${basename(file, '.md')}`, () => {
    assert.deepEqual(
      play(hostname, lines, octets => [octets]),
      lines,
      'line by line',
    )
    assert.deepEqual(
      play(hostname, lines, octets => [...octets].map(octet => Buffer.from([octet]))),
      lines,
      'octet by octet',
    )
    // What the session makes of a line is left out: the next one comes before it then.
    const whole = merged(lines.filter(line => /^[AS]/.test(line)))
    const longest = Math.max(...whole.map(line => line.length))
    for (let cut = 0; cut < longest; cut++) {
      const twoPieces = (octets: Buffer) => [octets.subarray(0, cut), octets.subarray(cut)]
      assert.deepEqual(made(play(hostname, whole, twoPieces)), made(lines), `cut at ${cut}`)
    }
  })
}

test('there are transcripts of clients', () => assert.ok(files.length >= 8))
