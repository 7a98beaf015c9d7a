/**
 * What DATA and BDAT make of a server session: RFC 5321 §4.1.1.4, RFC 3030 §2. The octets themselves are looked at by
 * `content.ts`; here is what the client and the service are told of them.
 */

import { parseArgument, type Verb } from './command.ts'
import { SmtpError } from './error.ts'
import { fixedReply, reply } from './reply.ts'
import type { SessionState } from './session-state.ts'

/** DATA, to which nothing was to object: what follows is content. */
export function beginData(session: SessionState): void {
  session.advance('DATA')
  session.content.data()
  session.say('DATA', START_MAIL_INPUT)
}

/** BDAT. RFC 3030 §2: whatever `reason` there is to refuse it, the octets behind the line are content. */
export function beginChunk(session: SessionState, argument: string, reason: SmtpError | null): void {
  const { sizeOctets, last } = chunkSize(session, argument) ?? {}
  if (sizeOctets === undefined || last === undefined) return
  if (reason === null) session.advance('BDAT')
  session.content.chunk(sizeOctets, last, reason)
  if (sizeOctets === 0) readContent(session, NO_OCTETS, 0)
}

/** `null`: it cannot be read. How many octets of content follow is not known then, and there is no going on. */
function chunkSize(session: SessionState, argument: string): { sizeOctets: number; last: boolean } | null {
  try {
    const command = parseArgument('BDAT', argument, { table: session.table, utf8: false })
    return command.verb === 'BDAT' ? command : null
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error
    session.end('BDAT', error.reply)
    return null
  }
}

/** Reads content from `octets[at]` on; where it stops: at their end, or before the next command. */
export function readContent(session: SessionState, octets: Buffer, at: number): number {
  const { end, content, fault, ended } = session.content.read(octets, at)
  if (content !== null) session.tell({ type: 'content', octets: content })
  // The message will be refused at its end: nobody needs to keep what came of it.
  if (fault !== null) session.drop()
  if (ended === null) return end
  const { verb, last, sizeOctets } = ended
  if (fault !== null) refuseContent(session, verb, fault)
  else if (last) session.tell({ type: 'message', sizeOctets })
  else session.say(verb, reply(250, '2.0.0', `${sizeOctets} octets received`))
  return end
}

/** At the true end of the content: the client hears it now, and the next octet is a command. */
function refuseContent(session: SessionState, verb: Verb, fault: SmtpError): void {
  // A BDAT outside a transaction leaves the state as it is.
  if (session.allows('MESSAGE')) session.advance('MESSAGE')
  session.refuse(verb, fault)
}

const NO_OCTETS = Buffer.alloc(0)
const START_MAIL_INPUT = fixedReply(354, null, 'Start mail input; end with <CRLF>.<CRLF>')
