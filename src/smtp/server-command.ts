/** What a line from the client makes of a server session: a command (RFC 5321 §4.1.1, §4.3.2) or a response in an AUTH exchange. */

import type { AuthStep } from './auth.ts'
import { type Command, parseArgument, splitLine, type Verb } from './command.ts'
import { SmtpError } from './error.ts'
import { EXTENSION_LINE_OCTETS } from './extension.ts'
import { LINE_TOO_LONG, type Line } from './line.ts'
import { mailObjection } from './objection.ts'
import { encodeReply, fixedReply, reply } from './reply.ts'
import { beginChunk, beginData } from './server-content.ts'
import type { SessionState } from './session-state.ts'

/** The longest line that may come now, its CRLF included: RFC 5321 §4.5.3.1.4, RFC 4954 §4. */
export function lineLimitOctets(session: SessionState): number {
  const { authLineOctets } = session.options.limits
  if (session.auth.underWay) return authLineOctets
  return Math.max(commandLimitOctets(session), mayAuthenticate(session) ? authLineOctets : 0)
}

/** A line, of at most `limitOctets`. */
export function takeLine(session: SessionState, line: Line, limitOctets: number): void {
  const commandOctets = commandLimitOctets(session)
  if (session.auth.underWay) authenticate(session, () => session.auth.respond(line))
  else if (line.text === null) session.refuse('', line.fault)
  else if (limitOctets > commandOctets && isTooLong(line.text, commandOctets))
    session.refuse('', LINE_TOO_LONG)
  else takeCommand(session, line.text)
}

const commandLimitOctets = ({ options }: SessionState): number =>
  options.limits.commandLineOctets + EXTENSION_LINE_OCTETS

/** RFC 4954 §4 keeps AUTH as short as other commands; many programs show a token with it that is longer. */
function mayAuthenticate(session: SessionState): boolean {
  const { offered, authenticated } = session.auth
  return offered.length > 0 && !authenticated && session.objection('AUTH') === null
}

const isTooLong = (line: string, limitOctets: number): boolean =>
  Buffer.byteLength(line) + '\r\n'.length > limitOctets && splitLine(line).verb !== 'AUTH'

function takeCommand(session: SessionState, line: string): void {
  const { verb, argument } = splitLine(line)
  try {
    if (verb !== 'QUIT' && session.auth.exhausted) throw TOO_MANY_AUTH_FAILURES
    if (verb === null) throw UNRECOGNIZED
    session.tally.count(verb)
    const reason = session.objection(verb)
    if (verb === 'BDAT') beginChunk(session, argument, reason)
    else if (reason !== null) throw reason
    else perform(session, parse(session, verb, argument))
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error
    if (verb === 'RCPT') session.refuseRecipient()
    session.refuse(verb ?? '', error)
  }
}

function parse(session: SessionState, verb: Verb, argument: string): Command {
  return parseArgument(verb, argument, {
    table: session.table,
    utf8: session.envelope?.smtputf8 === true,
    limits: session.options.limits,
  })
}

function perform(session: SessionState, command: Command): void {
  const { options } = session
  const { verb } = command
  switch (verb) {
    case 'EHLO':
    case 'HELO':
      session.hello(verb, command.domain)
      break
    case 'MAIL': {
      const { reversePath, parameters } = command
      const reason = mailObjection(parameters, options)
      if (reason !== null) throw reason
      session.tell({ type: 'mail', reversePath, parameters })
      break
    }
    case 'RCPT': {
      const { forwardPath, parameters } = command
      session.tally.admit(forwardPath)
      session.tell({ type: 'rcpt', recipient: { forwardPath, ...parameters }, parameters })
      break
    }
    case 'DATA':
      beginData(session)
      break
    case 'RSET':
      session.drop()
      session.advance('RSET')
      session.say('RSET', OK)
      break
    case 'QUIT':
      session.end('QUIT', reply(221, '2.0.0', `${options.hostname} Service closing transmission channel`))
      break
    case 'STARTTLS':
      session.tell({ type: 'starttls' })
      break
    case 'AUTH':
      session.auth.begin(command.mechanism)
      session.advance('AUTH')
      authenticate(session, () => session.auth.start(command.initialResponse))
      break
    case 'NOOP':
      session.say('NOOP', OK)
      break
    case 'HELP':
      session.say('HELP', HELP)
      break
    case 'VRFY':
      session.say('VRFY', CANNOT_VERIFY)
      break
    case 'EXPN':
    case 'BDAT':
      throw new Error(`SMTP server session: ${verb} is not performed`)
    default:
      command satisfies never
  }
}

/** One step of the exchange, and what is told of it. */
function authenticate(session: SessionState, step: () => AuthStep): void {
  try {
    const made = step()
    const { type } = made
    if (type === 'challenge') session.tell({ ...made, type: 'reply', verb: 'AUTH' })
    else if (type === 'verifier') session.tell(made)
    else if (type === 'credentials') session.tell({ type: 'auth', credentials: made.credentials })
    else {
      session.advance('AUTHENTICATED')
      const octets = encodeReply(made.reply)
      session.tell({ type: 'reply', verb: 'AUTH', reply: made.reply, octets, verdict: true })
    }
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error
    session.advance('AUTHENTICATED')
    session.refuse('AUTH', error)
  }
}

const OK = fixedReply(250, '2.0.0', 'OK')
// RFC 5321 §3.5.3: where we do not tell.
const CANNOT_VERIFY = fixedReply(
  252,
  '2.0.0',
  'Cannot VRFY user, but will accept message and attempt delivery',
)
const HELP = fixedReply(214, '2.0.0', 'EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT')
const UNRECOGNIZED = new SmtpError(500, '5.5.2', 'Command not recognized')
// RFC 4954 §9
const TOO_MANY_AUTH_FAILURES = new SmtpError(421, '4.7.0', 'Too many failed authentication attempts')
