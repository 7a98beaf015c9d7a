/** Commands, RFC 5321 §4.1.1 and those of the extensions: a line as a value and back. */

import { isAddressLiteral, isDomain } from './domain.ts'
import { SmtpError } from './error.ts'
import { type ParameterTable, readParameters, writeParameters } from './extension.ts'
import { type AddressLimits, LIMITS } from './limits.ts'
import { formatParameters, type MailParameters, parseParameters, type RcptParameters } from './parameter.ts'
import { type ForwardPath, formatPath, parseForwardPath, parseReversePath, type ReversePath } from './path.ts'
import { decodeBase64, encodeBase64 } from './sasl.ts'

export type Command =
  | { readonly verb: 'EHLO' | 'HELO'; readonly domain: string }
  | { readonly verb: 'MAIL'; readonly reversePath: ReversePath; readonly parameters: MailParameters }
  | { readonly verb: 'RCPT'; readonly forwardPath: ForwardPath; readonly parameters: RcptParameters }
  | { readonly verb: 'BDAT'; readonly sizeOctets: number; readonly last: boolean }
  | { readonly verb: 'AUTH'; readonly mechanism: string; readonly initialResponse: Uint8Array | null }
  | { readonly verb: 'VRFY' | 'EXPN'; readonly text: string }
  | { readonly verb: 'NOOP' | 'HELP'; readonly text: string }
  | { readonly verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS' }

export type Verb = Command['verb']

export interface CommandContext {
  /** The parameters of the extensions that were offered. */
  readonly table: ParameterTable
  /** For RCPT: MAIL had SMTPUTF8. */
  readonly utf8: boolean
  /** How long an address and its parts may be; not given: `LIMITS`. */
  readonly limits?: AddressLimits
}

/** The arguments of a verb. @throws SmtpError 501, 555. */
const ARGUMENTS: { readonly [V in Verb]: (argument: string, context: CommandContext) => Command } = {
  EHLO: (argument, context) => ({ verb: 'EHLO', domain: helloDomain(argument, context) }),
  HELO: (argument, context) => ({ verb: 'HELO', domain: helloDomain(argument, context) }),
  MAIL: mail,
  RCPT: rcpt,
  BDAT: bdat,
  AUTH: auth,
  // vrfy = "VRFY" SP String, RFC 5321 §4.1.1.6; we never look at it.
  VRFY: argument => ({ verb: 'VRFY', text: someText(argument) }),
  EXPN: argument => ({ verb: 'EXPN', text: someText(argument) }),
  // RFC 5321 §4.1.1.9: a parameter string is ignored.
  NOOP: argument => ({ verb: 'NOOP', text: argument }),
  HELP: argument => ({ verb: 'HELP', text: argument }),
  // RFC 5321 §4.1.1: these take no arguments; neither does STARTTLS (RFC 3207 §4).
  DATA: argument => alone('DATA', argument),
  RSET: argument => alone('RSET', argument),
  QUIT: argument => alone('QUIT', argument),
  STARTTLS: argument => alone('STARTTLS', argument),
}

const VERBS: ReadonlySet<string> = new Set(Object.keys(ARGUMENTS))
const isVerb = (word: string): word is Verb => VERBS.has(word)

/** A command line without its CRLF. @throws SmtpError 500 5.5.2 for an unknown verb; 501, 555 for its arguments. */
export function parseCommand(line: string, context: CommandContext): Command {
  const { verb, argument } = splitLine(line)
  if (verb === null) throw new SmtpError(500, '5.5.2', 'Command not recognized')
  return parseArgument(verb, argument, context)
}

/** `verb` is `null` where it is none of ours. */
export function splitLine(line: string): { readonly verb: Verb | null; readonly argument: string } {
  // RFC 5321 §2.4: verbs in any case; §4.1.1: white space before the CRLF is borne.
  let end = line.length
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--
  const space = line.indexOf(' ')
  const word = line.slice(0, space < 0 ? end : Math.min(space, end)).toUpperCase()
  let start = word.length
  while (start < end && line[start] === ' ') start++
  return { verb: isVerb(word) ? word : null, argument: line.slice(start, end) }
}

export function parseArgument(verb: Verb, argument: string, context: CommandContext): Command {
  return ARGUMENTS[verb](argument, context)
}

/** The line, without its CRLF; of parameters those in `table`. */
export function formatCommand(command: Command, table: ParameterTable): string {
  const { verb } = command
  switch (verb) {
    case 'EHLO':
    case 'HELO':
      return `${verb} ${command.domain}`
    case 'MAIL': {
      const parameters = formatParameters(writeParameters(command.parameters, table.mail, table.utf8))
      return `MAIL FROM:${formatPath(command.reversePath)} ${parameters}`.trimEnd()
    }
    case 'RCPT': {
      const parameters = formatParameters(writeParameters(command.parameters, table.rcpt, table.utf8))
      return `RCPT TO:${formatPath(command.forwardPath)} ${parameters}`.trimEnd()
    }
    case 'BDAT':
      return `BDAT ${command.sizeOctets}${command.last ? ' LAST' : ''}`
    case 'AUTH': {
      const { mechanism, initialResponse } = command
      if (initialResponse === null) return `AUTH ${mechanism}`
      // RFC 4954 §4: a response of zero length is "=".
      return `AUTH ${mechanism} ${initialResponse.length === 0 ? '=' : encodeBase64(initialResponse)}`
    }
    case 'VRFY':
    case 'EXPN':
    case 'NOOP':
    case 'HELP':
      return command.text === '' ? verb : `${verb} ${command.text}`
    default:
      return verb
  }
}

// ehlo = "EHLO" SP ( Domain / address-literal ); helo = "HELO" SP Domain. RFC 5321 §4.1.1.1.
// Some mail programs give their machine's name with underscores, or a literal without its tag: refusing them helps nobody.
function helloDomain(argument: string, { limits = LIMITS }: CommandContext): string {
  const lax = argument.replaceAll('_', '-').replace(/^\[(?!ipv6:)(?=.*:)/i, '[IPv6:')
  if (!isDomain(lax, { limits }) && !isAddressLiteral(lax, { limits })) {
    throw new SmtpError(501, '5.5.4', 'Give your host name or [address]')
  }
  return argument
}

// mail = "MAIL FROM:" Reverse-path [SP Mail-parameters], RFC 5321 §4.1.1.2. A space after the colon is common.
const MAIL_ARGUMENT = /^FROM: *(.*)$/is
// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters], §4.1.1.3.
const RCPT_ARGUMENT = /^TO: *(.*)$/is

function mail(argument: string, { table, limits = LIMITS }: CommandContext): Command {
  const [path, rest] = splitPath(MAIL_ARGUMENT.exec(argument)?.[1], 'MAIL FROM:<reverse-path>')
  const parameters: MailParameters = {
    body: '7BIT',
    smtputf8: false,
    ...readParameters(parseParameters(rest), table.mail),
  }
  const reversePath = parseReversePath(path, { utf8: parameters.smtputf8, limits })
  return { verb: 'MAIL', reversePath, parameters }
}

function rcpt(argument: string, { table, utf8, limits = LIMITS }: CommandContext): Command {
  const [path, rest] = splitPath(RCPT_ARGUMENT.exec(argument)?.[1], 'RCPT TO:<forward-path>')
  const parameters = readParameters(parseParameters(rest), table.rcpt)
  return { verb: 'RCPT', forwardPath: parseForwardPath(path, { utf8, limits }), parameters }
}

// A path ends at ">"; inside a quoted string it may hold one, and spaces (RFC 5321 §4.1.2).
const PATH_AND_REST = /^(<(?:[^">\\]|"(?:[^"\\]|\\.)*")*>)(?: +(.*))?$/s

function splitPath(argument: string | undefined, syntax: string): [path: string, rest: string] {
  const [, path, rest = ''] = PATH_AND_REST.exec(argument ?? '') ?? []
  if (path === undefined) throw new SmtpError(501, '5.5.4', `Syntax: ${syntax}`)
  return [path, rest]
}

// bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ]; chunk-size ::= 1*DIGIT; end-marker ::= "LAST". RFC 3030 §2.
const BDAT_ARGUMENT = /^(\d{1,15})( +LAST)?$/i

function bdat(argument: string): Command {
  const [, size, last] = BDAT_ARGUMENT.exec(argument) ?? []
  if (size === undefined) throw new SmtpError(501, '5.5.4', 'Syntax: BDAT chunk-size [LAST]')
  return { verb: 'BDAT', sizeOctets: Number(size), last: last !== undefined }
}

// auth-command = "AUTH" SP sasl-mech [SP initial-response], RFC 4954 §8; sasl-mech = 1*20mech-char, RFC 4422 §3.1.
const AUTH_ARGUMENT = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))?$/

function auth(argument: string): Command {
  const [, name, response] = AUTH_ARGUMENT.exec(argument) ?? []
  if (name === undefined) throw new SmtpError(501, '5.5.4', 'Syntax: AUTH mechanism [initial-response]')
  const mechanism = name.toUpperCase()
  if (response === undefined) return { verb: 'AUTH', mechanism, initialResponse: null }
  const initialResponse = response === '=' ? new Uint8Array(0) : decodeBase64(response)
  if (initialResponse === null) throw new SmtpError(501, '5.5.2', 'Initial response is not base64')
  return { verb: 'AUTH', mechanism, initialResponse }
}

function someText(argument: string): string {
  if (argument === '') throw new SmtpError(501, '5.5.4', 'An argument is needed')
  return argument
}

function alone(verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS', argument: string): Command {
  if (argument !== '') throw new SmtpError(501, '5.5.4', 'No arguments allowed')
  return { verb }
}
