/**
 * SMTP sessions on a port: who connects, how many at a time, and how the port closes. One session's way is in
 * `listener-session.ts`; what a service decides about it is its `SessionHandler`.
 */

import { createServer, type Server, type Socket } from 'node:net'
import type { Log } from '../observe/event.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { MailParameters, RcptParameters } from '../smtp/parameter.ts'
import type { ReversePath } from '../smtp/path.ts'
import { encodeReply, type Reply, reply } from '../smtp/reply.ts'
import type { Credentials, ScramVerifier } from '../smtp/sasl.ts'
import type { ServerOptions } from '../smtp/server.ts'
import type { Endpoint } from './endpoint.ts'
import { ListenerSession } from './listener-session.ts'
import { passedSocket, type SocketName } from './passed-socket.ts'
import type { TlsAcceptor } from './tls.ts'
import type { TlsFacts } from './wire.ts'

/** Who is at the other end. */
export interface Client {
  readonly address: string
  readonly port: number
  /** Of ours, the address it has reached. */
  readonly localAddress: string
  /** `null` in clear text. */
  readonly tls: TlsFacts | null
  /** TLS gives a channel binding (RFC 9266). */
  readonly bindable: boolean
  /** What EHLO said. */
  readonly helo: string
  /** RFC 3848: what the Received field says after `with`. */
  readonly protocol: string
}

/** One session's decisions. Each may take its time: the next command waits, and with it the client. */
export interface SessionHandler {
  /**
   * How many messages may be under way at a time: the client may send the next transaction before the last is answered. Not
   * given: one.
   */
  readonly messagesUnderWay?: number
  /** TLS is up. A reply refuses the session: it is the answer to whatever comes, and then the connection closes. */
  secured?(client: Client): Reply | null
  /**
   * Before each command, but QUIT: a 421 ends the session instead of an answer to it. A message whose content is under way
   * is not a command: it is answered first.
   */
  dismissal?(): Reply | null
  /** TLS is up: which SASL mechanisms can be used over it. Not given: all of the session's options. */
  mechanisms?(client: Client): readonly string[]
  /** What is kept of a user's password, for a SCRAM mechanism; for a user who is unknown, something that looks like it. */
  verifier?(mechanism: string, username: string): ScramVerifier
  auth?(credentials: Credentials, client: Client): Promise<Reply>
  mail(reversePath: ReversePath, parameters: MailParameters, client: Client): Reply | Promise<Reply>
  rcpt(recipient: EnvelopeRecipient, parameters: RcptParameters): Reply | Promise<Reply>
  /** Content as it comes. The octets may be kept: they are not written over. While a promise is open nothing more is read. */
  content(octets: Uint8Array, client: () => Client): void | Promise<void>
  /** The message is whole. A 2xx reply says that it will not be lost from here on. */
  message(client: Client): Promise<Reply>
  /** The transaction is over without a message: RSET, EHLO, a refused message, a lost connection. */
  reset(): void
}

export interface ListenOptions {
  readonly address: Endpoint
  readonly session: ServerOptions
  readonly acceptor: TlsAcceptor | null
  readonly idleMs: number
  /** Connections above this are told 421 4.3.2 and closed. */
  readonly maxConnections: number
  readonly log: Log
  readonly handler: () => SessionHandler
}

export interface Listener {
  readonly port: number
  /** Stops accepting, tells idle sessions 421, lets those in a message finish for at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

/** At the address, or at the socket that was passed for such sessions: then the address is that socket's. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const sessions = new Set<ListenerSession>()
  const server = createServer({ noDelay: true }, socket => {
    if (sessions.size >= options.maxConnections) return turnAway(socket, options)
    const session = new ListenerSession(socket, options)
    sessions.add(session)
    session.run().finally(() => sessions.delete(session))
  })
  await listening(server, options)
  // ENFILE and the like: the connection is lost, those that are open are not.
  server.on('error', error =>
    options.log.event('alarm', { about: 'listener', error: error.message }, 'error'),
  )
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.address.port,
    async close(graceMs) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const session of sessions) session.shutdown()
      const timer = setTimeout(() => {
        for (const session of sessions) session.destroy()
      }, graceMs)
      await closed
      clearTimeout(timer)
    },
  }
}

function turnAway(socket: Socket, options: ListenOptions): void {
  options.log.event('refused', { reason: 'too many connections', limit: options.maxConnections }, 'warn')
  socket.on('error', () => {})
  if (options.session.tls === 'implicit') socket.destroy()
  else socket.end(encodeReply(reply(421, '4.3.2', 'Too many connections, try again later')))
}

function listening(server: Server, { address, session }: ListenOptions): Promise<void> {
  // A worker's connections come by way of its parent, which has the socket.
  const pids = process.env.PTT_WORKER === undefined ? [process.pid] : [process.pid, process.ppid]
  const fd = passedSocket(socketName(session), process.env, pids)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(fd === undefined ? { host: address.host, port: address.port } : { fd }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function socketName({ tls, hop }: ServerOptions): SocketName {
  if (hop) return 'smtp'
  return tls === 'implicit' ? 'submissions' : 'submission'
}
