/**
 * `ptt send`: one message from standard input to a submission server, for programs that know sendmail. It keeps nothing:
 * when it ends with 0 the server has the message, else whoever called it still has it. Exit statuses are those of
 * sysexits(3), as sendmail's.
 */

import { hostname } from 'node:os'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { Command, type CommanderError, Option } from 'commander'
import { FileError, readPem, readSecret } from '../config/file.ts'
import { ConfigError, loadConfig } from '../config/load.ts'
import { scramCrypto } from '../directory/scram.ts'
import { parseAddressList } from '../message/address.ts'
import { isId } from '../message/id.ts'
import { ConnectionError } from '../net/connection.ts'
import { EndpointError, parseEndpoint } from '../net/endpoint.ts'
import { type Account, submit } from '../net/submit.ts'
import type { TransactionReplies } from '../net/transaction.ts'
import { isDomain } from '../smtp/domain.ts'
import { SmtpError } from '../smtp/error.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { formatMailbox, type Mailbox, type ReversePath } from '../smtp/path.ts'
import { formatReply, isPositive, isTransient, type Reply } from '../smtp/reply.ts'
import { type ConfigOption, configOption } from './options.ts'
import { contentOf, distinct, envelopeOf, qualified, readInput, recipientsOf } from './send-input.ts'

const EX_OK = 0
const EX_USAGE = 64
const EX_DATAERR = 65
const EX_UNAVAILABLE = 69
const EX_TEMPFAIL = 75
const EX_CONFIG = 78

/** Ends the command with `status`; the message is for whoever called it. */
export class SendError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface SendOptions extends ConfigOption {
  readonly from?: string
  readonly readRecipients?: true
  readonly ignoreDots?: true
  readonly o?: 'i'
  readonly server?: string
  readonly username?: string
  readonly passwordFile?: string
  readonly ca?: string
}

export function sendCommand(): Command {
  return new Command('send')
    .description('send the message on standard input, as sendmail does')
    .argument('[recipients...]', 'who gets it')
    .option('-f, --from <address>', 'the sender, who is told when it cannot be delivered; "" is nobody')
    .option('-t, --read-recipients', 'whoever To, Cc and Bcc of the message name gets it too')
    .option('-i, --ignore-dots', 'a line with nothing but a dot does not end the message')
    .addOption(new Option('-o <option>', 'as sendmail has it: -oi is -i').choices(['i']))
    .addOption(configOption())
    .option('--server <host:port>', 'the submission server; not given: [send] of the configuration says')
    .option('--username <name>', 'the user')
    .option('--password-file <file>', 'the file with the password, which nobody else may read')
    .option('--ca <file>', "the CA of the server's certificate, PEM")
    .addHelpText(
      'after',
      `
It prints the id under which the message is queued. Bcc fields are removed, and a From is added where there is none.

Examples:
  ptt send bob@example.net < message
  ptt send -t -i < message
  ptt send -f alice@example.com --server mail.example.com:465 --username alice@example.com \\
           --password-file ~/.ptt-password bob@example.net < message

Exit status, as in sysexits.h:
  0   the server has the message
  64  the arguments are wrong
  65  the message is
  69  it was refused for good (5yz)
  75  it was refused for now (4yz), or the server was not reached: try again later
  78  the configuration or the password file is wrong`,
    )
    .exitOverride((error: CommanderError) => process.exit(error.exitCode === 0 ? EX_OK : EX_USAGE))
    .action(async (recipients: string[], options: SendOptions) => {
      try {
        console.log(await send(recipients, options, process.stdin))
      } catch (error) {
        if (!(error instanceof SendError)) throw error
        console.error(`ptt send: ${error.message}`)
        process.exitCode = error.status
      }
    })
}

/** The id it is queued under, or the server's reply where that names none. @throws SendError */
export async function send(
  args: readonly string[],
  options: SendOptions,
  standardInput: Readable,
): Promise<string> {
  try {
    return await attempt(args, options, standardInput)
  } catch (error) {
    throw failureOf(error)
  }
}

async function attempt(
  args: readonly string[],
  options: SendOptions,
  standardInput: Readable,
): Promise<string> {
  const { account, domain } = accountOf(options)
  const sender = senderOf(options.from, account.username, domain)
  const named = args.flatMap(text => mailboxes(text, domain))
  if (named.length === 0 && options.readRecipients === undefined) {
    throw new SendError(EX_USAGE, 'who gets it? Name recipients, or have them read from the message with -t')
  }
  const ignoreDots = options.ignoreDots === true || options.o === 'i'
  const read = readInput(await buffer(standardInput), { ignoreDots })
  const input = domain === null ? read : qualified(read, domain)
  const listed = options.readRecipients === true ? recipientsOf(input) : []
  const recipients = distinct([...named, ...listed])
  if (recipients.length === 0) throw new SendError(EX_DATAERR, 'To, Cc and Bcc of the message name nobody')
  const content = contentOf(input, sender)
  const replies = await submit(account, envelopeOf(sender, recipients, content), content, {
    hostname: ourName(),
    timeouts: TIMEOUTS,
    scram: scramCrypto,
  })
  return outcome(replies, recipients)
}

/** From the options, and where they leave something out from [send] of the configuration. */
function accountOf(options: SendOptions): { account: Account; domain: string | null } {
  const { server, username, passwordFile, ca } = options
  const given = server !== undefined && username !== undefined && passwordFile !== undefined
  const config = given ? null : loadConfig(options.config)
  const table = config?.send
  const endpoint = server === undefined ? table?.server : parseEndpoint(server, 465)
  const user = username ?? table?.username
  const secret = passwordFile ?? table?.passwordFile
  if (endpoint === undefined || user === undefined || secret === undefined) {
    const file = config?.file ?? options.config
    throw new SendError(
      EX_CONFIG,
      `${file} has no [send] table: write one, or give --server, --username and --password-file`,
    )
  }
  const trusted = ca ?? table?.ca
  return {
    account: {
      server: endpoint,
      username: user,
      password: readSecret(secret).replace(/\r?\n$/, ''),
      ...(trusted === undefined ? {} : { ca: readPem(trusted) }),
    },
    domain: config?.domain ?? null,
  }
}

/** Not said: the user himself. */
function senderOf(from: string | undefined, username: string, domain: string | null): ReversePath {
  if (from === '' || from === '<>') return null
  const [sender, ...more] = mailboxes(from ?? username, domain)
  if (sender !== undefined && more.length === 0) return sender
  throw new SendError(EX_USAGE, `-f takes one address, not ${JSON.stringify(from)}`)
}

/** `bob@example.net`, `Bob <bob@example.net>`, several with commas; `bob` where the configuration says of which domain. */
function mailboxes(text: string, domain: string | null): Mailbox[] {
  const local = domain !== null && /^[^\s@<>,;:"()[\]\\]+$/.test(text)
  try {
    return parseAddressList(local ? `${text}@${domain}` : text).map(({ mailbox }) => mailbox)
  } catch (error) {
    if (error instanceof SmtpError) throw new SendError(EX_USAGE, `${JSON.stringify(text)} is not an address`)
    throw error
  }
}

/** RFC 5321 §4.1.1.1: a client without a name of its own says its address. */
function ourName(): string {
  const name = hostname()
  return isDomain(name) ? name : '[127.0.0.1]'
}

function outcome(replies: TransactionReplies, recipients: readonly Mailbox[]): string {
  const { mail, message } = replies
  if (!isPositive(mail)) throw refusal(mail, formatReply(mail))
  if (message !== null && !isPositive(message)) throw refusal(message, formatReply(message))
  const refused = recipients.flatMap((mailbox, at) => {
    const answer = replies.recipients[at]
    return answer === undefined || isPositive(answer) ? [] : [{ mailbox, answer }]
  })
  const queued = message === null ? '' : (idIn(message) ?? formatReply(message))
  const [first] = refused
  if (first === undefined) return queued
  // One that was refused for good decides: trying again would not help him, and give the others a second copy.
  const decisive = refused.find(({ answer }) => !isTransient(answer)) ?? first
  const reasons = refused.map(({ mailbox, answer }) => `${formatMailbox(mailbox)}: ${formatReply(answer)}`)
  const others = queued === '' ? '' : `queued as ${queued}, but not for all: `
  throw refusal(decisive.answer, `${others}${reasons.join('; ')}`)
}

function idIn(answer: Reply): string | undefined {
  return answer.lines
    .join(' ')
    .split(/[^0-9A-Z]+/)
    .find(isId)
}

function refusal(answer: Reply, message: string): SendError {
  return new SendError(isTransient(answer) ? EX_TEMPFAIL : EX_UNAVAILABLE, message)
}

/** Anything that is not expected goes on as it is. */
function failureOf(error: unknown): unknown {
  if (error instanceof EndpointError) return new SendError(EX_USAGE, error.message)
  if (error instanceof ConfigError || error instanceof FileError)
    return new SendError(EX_CONFIG, error.message)
  // A field with addresses that cannot be read.
  if (error instanceof SmtpError) return new SendError(EX_DATAERR, error.message)
  if (error instanceof ConnectionError) {
    // What is unknown is temporary: without a reply the server may be back in a minute.
    return error.reply === null
      ? new SendError(EX_TEMPFAIL, error.message)
      : refusal(error.reply, error.message)
  }
  throw error
}
