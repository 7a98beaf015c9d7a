/**
 * A client session: commands in, octets out; octets of the server in, replies out, each with the command it answers.
 * RFC 5321 §3 and §4.3, RFC 2920 §3.1: "by counting", never by code or text.
 */

import { type Command, formatCommand, type Verb } from './command.ts'
import { isAscii, normalizeDomain } from './domain.ts'
import type { EnvelopeRecipient } from './envelope.ts'
import { SmtpError } from './error.ts'
import { Extensions, type ParameterTable, parameterTable } from './extension.ts'
import { LIMITS } from './limits.ts'
import type { MailParameters } from './parameter.ts'
import type { Mailbox, ReversePath } from './path.ts'
import { isPositive, type Reply, ReplyParser } from './reply.ts'
import {
  CLIENT_MECHANISMS,
  type ClientContext,
  type ClientCredentials,
  type ClientMechanism,
  decodeBase64,
  encodeBase64,
} from './sasl.ts'

/**
 * `CONNECT`: the greeting. `DATA`: the reply to the command, 354 or not. `MESSAGE`: the reply that takes responsibility, to
 * the final dot or to BDAT LAST. `BDAT`: to a chunk before the last.
 */
export type Answered = Verb | 'CONNECT' | 'MESSAGE'

export type ClientEvent =
  | { readonly verb: Answered; readonly reply: Reply }
  /** The AUTH exchange goes on: write `send`. */
  | { readonly verb: 'AUTH'; readonly send: Uint8Array }

export interface ClientOptions {
  /** Our name for EHLO. */
  readonly hostname: string
  /** The longest line of a reply that is taken, with its CRLF; not given: `LIMITS.replyLineOctetsRead`. */
  readonly replyLineOctets?: number
}

export class ClientSession {
  readonly #hostname: string
  readonly #replyLineOctets: number
  #parser: ReplyParser
  /** Whose replies have not come, in order. */
  #awaited: Answered[] = ['CONNECT']
  #extensions = Extensions.none
  #table: ParameterTable = parameterTable(Extensions.none)
  #mechanism: ClientMechanism | null = null

  constructor(options: ClientOptions) {
    this.#hostname = options.hostname
    this.#replyLineOctets = options.replyLineOctets ?? LIMITS.replyLineOctetsRead
    this.#parser = new ReplyParser(this.#replyLineOctets)
  }

  /** Of the last EHLO; empty before it, after HELO and after STARTTLS. */
  get extensions(): Extensions {
    return this.#extensions
  }

  /** Commands sent whose reply has not come; the greeting counts too. */
  get outstanding(): number {
    return this.#awaited.length
  }

  ehlo(): Uint8Array {
    return this.#command({ verb: 'EHLO', domain: this.#hostname })
  }

  helo(): Uint8Array {
    return this.#command({ verb: 'HELO', domain: this.#hostname })
  }

  starttls(): Uint8Array {
    return this.#command({ verb: 'STARTTLS' })
  }

  rset(): Uint8Array {
    return this.#command({ verb: 'RSET' })
  }

  noop(): Uint8Array {
    return this.#command({ verb: 'NOOP', text: '' })
  }

  quit(): Uint8Array {
    return this.#command({ verb: 'QUIT' })
  }

  /** `receive` then yields what to `send`, and in the end the reply. @throws SmtpError 504 5.5.4 for a mechanism we lack. */
  auth(mechanism: string, credentials: ClientCredentials, context: ClientContext = {}): Uint8Array {
    const name = mechanism.toUpperCase()
    const begin = CLIENT_MECHANISMS.get(name)
    if (begin === undefined) throw new SmtpError(504, '5.5.4', `Mechanism ${name} is not known here`)
    this.#mechanism = begin(credentials, context)
    const { initialResponse } = this.#mechanism
    const command = { verb: 'AUTH', mechanism: name, initialResponse } as const
    // RFC 4954 §4: a response too long for a command line goes without the command.
    const tooLong = formatCommand(command, this.#table).length + 2 > LIMITS.commandLineOctets
    return this.#command(tooLong ? { ...command, initialResponse: null } : command)
  }

  /**
   * Of the parameters those that the peer's extensions allow.
   * @throws SmtpError 550 5.6.7 for a local-part that is not ASCII where the peer has no SMTPUTF8.
   */
  mail(reversePath: ReversePath, parameters: Partial<MailParameters> = {}): Uint8Array {
    return this.#command({
      verb: 'MAIL',
      reversePath: reversePath === null ? null : this.#transportable(reversePath, 550),
      parameters: { body: '7BIT', smtputf8: false, ...parameters },
    })
  }

  /** @throws SmtpError 553 5.6.7 for a local-part that is not ASCII where the peer has no SMTPUTF8. */
  rcpt(recipient: EnvelopeRecipient): Uint8Array {
    const { forwardPath, ...parameters } = recipient
    return this.#command({ verb: 'RCPT', forwardPath: this.#transportable(forwardPath, 553), parameters })
  }

  data(): Uint8Array {
    return this.#command({ verb: 'DATA' })
  }

  /** The content was written with its CRLF.CRLF (`dotStuff`): a reply is due. */
  endOfData(): void {
    this.#awaited.push('MESSAGE')
  }

  /** The command line only: `sizeOctets` octets of content come right behind it. */
  bdat(sizeOctets: number, last: boolean): Uint8Array {
    return this.#command({ verb: 'BDAT', sizeOctets, last }, last ? 'MESSAGE' : 'BDAT')
  }

  /** TLS is up: what the server said in clear is forgotten, a reply begun in clear with it (RFC 3207 §4.2). EHLO again. */
  secured(): void {
    this.#parser = new ReplyParser(this.#replyLineOctets)
    this.#learn(Extensions.none)
  }

  /**
   * @throws SmtpError when what came is no reply, or none was due. 421 in a reply nobody asked for keeps its code; else 451.
   * The connection cannot be used after it.
   */
  *receive(chunk: Uint8Array): Generator<ClientEvent> {
    for (const reply of this.#parser.push(chunk)) {
      const [verb] = this.#awaited
      if (verb === undefined) throw unsolicited(reply)
      const send = verb === 'AUTH' && reply.code === 334 ? this.#response(reply) : null
      if (send !== null) {
        yield { verb: 'AUTH', send }
        continue
      }
      this.#awaited.shift()
      if (verb === 'EHLO' || verb === 'HELO') this.#greeted(verb, reply)
      if (verb === 'AUTH' && isPositive(reply) && this.#mechanism?.satisfied === false) throw UNPROVED
      yield { verb, reply }
    }
  }

  #greeted(verb: 'EHLO' | 'HELO', reply: Reply): void {
    if (reply.code === 250)
      this.#learn(verb === 'EHLO' ? new Extensions(reply.lines.slice(1)) : Extensions.none)
  }

  #learn(extensions: Extensions): void {
    this.#extensions = extensions
    this.#table = parameterTable(extensions)
  }

  // RFC 4954 §4: a challenge that makes no sense is answered "*".
  #response(reply: Reply): Uint8Array {
    const challenge = decodeBase64(reply.lines.join('').trim())
    const response = challenge === null ? null : (this.#mechanism?.respond(challenge) ?? null)
    return Buffer.from(`${response === null ? '*' : encodeBase64(response)}\r\n`, 'latin1')
  }

  // RFC 6531 §3.2: without SMTPUTF8 no such address may be sent; a U-label can go as its A-label.
  #transportable(mailbox: Mailbox, code: number): Mailbox {
    if (this.#extensions.has('SMTPUTF8') || isAscii(mailbox.localPart + mailbox.domain)) return mailbox
    if (!isAscii(mailbox.localPart)) {
      throw new SmtpError(
        code,
        '5.6.7',
        'The server does not take addresses that are not ASCII (no SMTPUTF8)',
      )
    }
    return { localPart: mailbox.localPart, domain: normalizeDomain(mailbox.domain) }
  }

  #command(command: Command, answered: Answered = command.verb): Uint8Array {
    this.#awaited.push(answered)
    return Buffer.from(`${formatCommand(command, this.#table)}\r\n`)
  }
}

// RFC 5802 §5: without its signature "the client MUST consider the authentication exchange to be unsuccessful".
const UNPROVED = new SmtpError(454, '4.7.0', 'The server has not proved that it knows the password')

// RFC 5321 §3.8: 421 may come at any time.
function unsolicited(reply: Reply): SmtpError {
  const text = `The server said without being asked: ${reply.lines.join(' ')}`
  if (reply.code === 421) return new SmtpError(421, reply.status ?? '4.3.2', text)
  return new SmtpError(451, '4.5.0', `${text} (${reply.code})`)
}
