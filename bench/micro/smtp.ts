/** What is said in a session: lines to commands and replies, and back. */

import { type CommandContext, formatCommand, parseCommand } from '../../src/smtp/command.ts'
import { dotStuff } from '../../src/smtp/data.ts'
import { Extensions, parameterTable } from '../../src/smtp/extension.ts'
import { parseForwardPath, parseReversePath } from '../../src/smtp/path.ts'
import { encodeReply, ReplyParser, reply } from '../../src/smtp/reply.ts'
import { mails, writer } from './mail.ts'
import { inTurn, type Operation, type Room } from './measure.ts'

const COUNT = 64
const TABLE = parameterTable(new Extensions(['SIZE', '8BITMIME', 'SMTPUTF8', 'DSN', 'AUTH PLAIN', 'XPTT']))

export const smtp: Room = { name: 'smtp', operations }

function operations(): Operation[] {
  const { pick, address, words } = writer(1)
  const some = <T>(make: () => T): T[] => Array.from({ length: COUNT }, make)
  const paths = some(() => `<${address()}>`)
  const context: CommandContext = { table: TABLE, utf8: false }
  const mail = some(() => `MAIL FROM:<${address()}> SIZE=${pick([812, 4096, 71_204])} BODY=8BITMIME`)
  const hop = some(
    () =>
      `MAIL FROM:<${address()}> BODY=8BITMIME AUTH=alice@example.com XPTT=01K9ZQ4W2T8J6N3R5V7XABCDEF/0123456789abcdef0123456789abcdef01234567`,
  )
  const rcpt = some(() => `RCPT TO:<${address()}>`)
  const commands = hop.map(line => parseCommand(line, context))
  const replies = some(() =>
    Buffer.from(`250 2.0.0 Queued as ${pick(['4F2A', '9C01B', '77'])} ${words(2)}\r\n`),
  )
  const ehlo = Buffer.from(
    '250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n',
  )
  const parser = new ReplyParser()
  const said = some(() => reply(250, '2.0.0', `Queued as ${words(1)}`))
  const contents = mails(COUNT).map(({ octets }) => [octets])
  return [
    { name: 'reverse-path', run: inTurn(paths, path => parseReversePath(path)) },
    { name: 'forward-path', run: inTurn(paths, path => parseForwardPath(path)) },
    { name: 'command MAIL of a client', run: inTurn(mail, line => parseCommand(line, context)) },
    { name: 'command MAIL of a hop', run: inTurn(hop, line => parseCommand(line, context)) },
    { name: 'command RCPT', run: inTurn(rcpt, line => parseCommand(line, context)) },
    { name: 'command MAIL of a hop, written', run: inTurn(commands, one => formatCommand(one, TABLE)) },
    { name: 'reply of a line', run: inTurn(replies, octets => [...parser.push(octets)]) },
    { name: 'reply to EHLO', run: () => [...parser.push(ehlo)] },
    { name: 'reply, written', run: inTurn(said, encodeReply) },
    { name: 'dots doubled, 4 KiB', octets: 4096, run: inTurn(contents, dotStuff) },
  ]
}
