/** An SMTP server that says what a test wants it to, and remembers what it was told. It has no CHUNKING. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'

export interface SmtpScript {
  /** 127.0.0.1 when not given. */
  readonly host?: string
  /** A free one when not given; several hosts of 127.0.0.0/8 can have the same, as MXs do. */
  readonly port?: number
  /** The lines of the EHLO reply after the first. */
  readonly ehlo?: readonly string[]
  /** The same under TLS; as in clear text when not given. */
  readonly ehloSecured?: readonly string[]
  /** With it STARTTLS works; it is offered where `ehlo` has it. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** TLS from the first octet. */
  readonly implicit?: boolean
  /** The reply to a command line, or to `.` (the whole message); what is usual when there is none. */
  reply?(line: string): string | undefined
}

export interface ScriptedSmtp {
  readonly port: number
  /** The command lines of each connection, in order; `.` stands for a message. */
  readonly sessions: readonly (readonly string[])[]
  /** Contents, dots and all. */
  readonly messages: readonly string[]
  stop(): Promise<void>
}

export async function startScriptedSmtp(script: SmtpScript = {}): Promise<ScriptedSmtp> {
  const sessions: string[][] = []
  const messages: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    const lines: string[] = []
    sessions.push(lines)
    const shown = script.implicit === true && script.tls !== undefined ? secure(socket, script.tls) : socket
    shown.write('220 scripted\r\n')
    converse(shown, script, lines, messages)
  })
  server.listen(script.port ?? 0, script.host ?? '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    port: address.port,
    sessions,
    messages,
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

/** One for all connections, so that a session can be resumed. */
function contextOf(pair: { readonly certificate: string; readonly key: string }): SecureContext {
  const known = contexts.get(pair)
  if (known !== undefined) return known
  const context = createSecureContext({ cert: pair.certificate, key: pair.key })
  contexts.set(pair, context)
  return context
}
const contexts = new WeakMap<object, SecureContext>()

function secure(socket: Socket, pair: NonNullable<SmtpScript['tls']>): TLSSocket {
  const secured = new TLSSocket(socket, { isServer: true, secureContext: contextOf(pair) })
  secured.on('error', () => socket.destroy())
  return secured
}

function converse(socket: Socket, script: SmtpScript, lines: string[], messages: string[]): void {
  let received = ''
  let inData = false
  const say = (line: string, usual: string): string => {
    const reply = script.reply?.(line) ?? usual
    socket.write(`${reply}\r\n`)
    return reply
  }
  const command = (line: string): void => {
    lines.push(line)
    const verb = line.split(' ')[0]?.toUpperCase() ?? ''
    switch (verb) {
      case 'EHLO': {
        const keywords = (socket instanceof TLSSocket ? script.ehloSecured : undefined) ?? script.ehlo ?? []
        const reply = ['scripted', ...keywords]
        say(line, reply.map((text, n) => `250${n === reply.length - 1 ? ' ' : '-'}${text}`).join('\r\n'))
        return
      }
      case 'STARTTLS': {
        if (!say(line, '220 go').startsWith('220') || script.tls === undefined) return
        socket.removeAllListeners('data')
        converse(secure(socket, script.tls), script, lines, messages)
        return
      }
      case 'DATA':
        inData = say(line, '354 go on').startsWith('354')
        return
      case 'QUIT':
        say(line, '221 bye')
        socket.end()
        return
      default:
        say(line, '250 ok')
    }
  }
  socket.setEncoding('latin1')
  socket.on('error', () => socket.destroy())
  socket.on('data', (text: string) => {
    received += text
    for (;;) {
      const end = received.indexOf(inData ? '\r\n.\r\n' : '\r\n')
      if (end < 0) return
      const taken = received.slice(0, end + 2)
      received = received.slice(end + (inData ? 5 : 2))
      if (!inData) {
        command(taken.slice(0, -2))
        continue
      }
      inData = false
      lines.push('.')
      messages.push(taken)
      say('.', '250 2.0.0 kept')
    }
  })
}
