/**
 * One SMTP session of the generator: in clear or in TLS (RFC 8314), signed in with PLAIN where a door asks for it. It sends a
 * message when it is told to, MAIL, RCPT and DATA in one write where the server announces PIPELINING, and says what came of it.
 */

import { connect, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import type { Outgoing } from './message.ts'

/** How a system is reached. */
export interface Door {
  readonly port: number
  /** 127.0.0.1 when not given. */
  readonly host?: string
  /** PEM of who signed its certificate; null: no TLS. */
  readonly ca: string | null
  readonly credentials: { readonly username: string; readonly password: string } | null
  /** A hop of ptt: STARTTLS, and who we are in a certificate; TLS from the first octet when not given. */
  readonly hop?: { readonly name: string; readonly certificate: string; readonly key: string }
}

/** What a door needs for TLS, made once for all sessions. */
export function contextOf({ ca, hop }: Door): SecureContext | null {
  if (ca === null) return null
  return createSecureContext({ ca, ...(hop === undefined ? {} : { cert: hop.certificate, key: hop.key }) })
}

export interface SessionEvents {
  /** It is signed in, or has got its reply, and can send. */
  ready(session: Session): void
  /** The final dot is about to be written. */
  dot(index: number): void
  /** The reply to the message, 250 or another one; `where` is what was refused. */
  replied(index: number, accepted: boolean, reply: string): void
  /** The server has closed it, in good order or not, with a message under way or null. */
  closed(session: Session, index: number | null, reason: string): void
}

type Awaiting = 'greeting' | 'ehlo' | 'starttls' | 'auth' | 'idle' | 'mail' | 'rcpt' | 'data' | 'dot' | 'rset'

export class Session {
  #socket: Socket
  readonly #events: SessionEvents
  readonly #door: Door
  readonly #outgoing: Outgoing
  readonly #context: SecureContext | null
  #awaiting: Awaiting = 'greeting'
  #text = ''
  #pipelining = false
  #index: number | null = null
  #rcpt = ''
  /** The first line of a transaction that was refused, where it was pipelined: the rest of it is of no interest. */
  #refused: string | null = null
  #over = false

  constructor(door: Door, outgoing: Outgoing, events: SessionEvents, context: SecureContext | null) {
    this.#door = door
    this.#outgoing = outgoing
    this.#events = events
    this.#context = context
    const address = { host: door.host ?? '127.0.0.1', port: door.port, noDelay: true }
    this.#socket =
      context === null || door.hop !== undefined
        ? connect(address)
        : connectTls({ ...address, secureContext: context, servername: 'localhost' })
    this.#listen()
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    this.#socket.on('error', error => this.#close(error.message))
    this.#socket.on('close', () => this.#close('closed'))
  }

  get outgoing(): Outgoing {
    return this.#outgoing
  }

  /** To be called when it is ready. `outgoing` has the id of `index` by now. */
  send(index: number, mail: string, rcpt: string): void {
    this.#index = index
    this.#refused = null
    this.#awaiting = 'mail'
    this.#rcpt = rcpt
    this.#socket.write(this.#pipelining ? `${mail}${rcpt}DATA\r\n` : mail, 'latin1')
  }

  giveUpUnlessReady(): void {
    if (['greeting', 'ehlo', 'auth'].includes(this.#awaiting)) this.#close(`no reply: ${this.#awaiting}`)
  }

  quit(): void {
    this.#over = true
    this.#socket.end('QUIT\r\n')
    // Whoever does not answer it is not waited for.
    this.#socket.destroySoon()
  }

  #close(reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#socket.destroy()
    this.#events.closed(this, this.#index, this.#refused ?? reason)
  }

  #receive(chunk: Buffer): void {
    this.#text += chunk.toString('latin1')
    let begin = 0
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n', begin)) {
      const line = this.#text.slice(begin, end)
      begin = end + 1
      if (this.#awaiting === 'ehlo' && line.slice(4).trim().toUpperCase() === 'PIPELINING')
        this.#pipelining = true
      if (line[3] !== '-') this.#reply(line.trimEnd())
    }
    this.#text = this.#text.slice(begin)
  }

  #reply(line: string): void {
    const good = line.startsWith('2')
    if (!good && ['greeting', 'ehlo', 'starttls', 'auth'].includes(this.#awaiting)) this.#fail(line)
    else if (this.#awaiting === 'greeting') this.#step('ehlo', 'EHLO generator.bench.test\r\n')
    else if (this.#awaiting === 'ehlo') this.#greeted()
    else if (this.#awaiting === 'starttls') this.#secure()
    else if (this.#awaiting === 'auth') this.#ready()
    else if (this.#awaiting === 'dot') this.#replied(good, line)
    else if (this.#awaiting === 'rset') this.#replied(false, this.#refused ?? line)
    // It says good-bye: 421, then it closes.
    else if (this.#awaiting === 'idle') this.#refused = line
    else this.#transaction(good, line)
  }

  /** MAIL, RCPT and DATA, whose replies come one after the other whether they were pipelined or not. */
  #transaction(good: boolean, line: string): void {
    if (this.#awaiting === 'data') {
      if (line.startsWith('354')) this.#content()
      else {
        this.#refused ??= line
        this.#step('rset', 'RSET\r\n')
      }
      return
    }
    if (!good) this.#refused ??= line
    const next = this.#awaiting === 'mail' ? 'rcpt' : 'data'
    if (this.#pipelining) this.#awaiting = next
    else if (this.#refused !== null) this.#step('rset', 'RSET\r\n')
    else this.#step(next, next === 'rcpt' ? this.#rcpt : 'DATA\r\n')
  }

  /** RFC 3207: after it the server knows nothing of us, and we nothing of it. */
  #secure(): void {
    const servername = this.#door.hop?.name ?? ''
    this.#socket.removeAllListeners()
    this.#socket = connectTls({
      socket: this.#socket,
      secureContext: this.#context ?? createSecureContext(),
      servername,
    })
    this.#listen()
    this.#step('ehlo', 'EHLO generator.bench.test\r\n')
  }

  #greeted(): void {
    const { credentials, hop } = this.#door
    const isSecure = 'encrypted' in this.#socket
    if (hop !== undefined && !isSecure) this.#step('starttls', 'STARTTLS\r\n')
    else if (credentials === null) this.#ready()
    else {
      const { username, password } = credentials
      // RFC 4616.
      const response = Buffer.from(`\0${username}\0${password}`).toString('base64')
      this.#step('auth', `AUTH PLAIN ${response}\r\n`)
    }
  }

  #step(awaiting: Awaiting, line: string): void {
    this.#awaiting = awaiting
    this.#socket.write(line, 'latin1')
  }

  #content(): void {
    // A recipient was refused and DATA was not: nothing may follow but the end.
    if (this.#refused !== null) {
      this.#fail(this.#refused)
      return
    }
    const { head, body } = this.#outgoing
    this.#awaiting = 'dot'
    if (this.#index !== null) this.#events.dot(this.#index)
    if (body === null) this.#socket.write(head)
    else {
      this.#socket.cork()
      this.#socket.write(head)
      this.#socket.write(body)
      this.#socket.uncork()
    }
  }

  #replied(accepted: boolean, line: string): void {
    const index = this.#index
    this.#index = null
    if (index !== null) this.#events.replied(index, accepted, line)
    this.#ready()
  }

  #ready(): void {
    this.#awaiting = 'idle'
    this.#events.ready(this)
  }

  #fail(line: string): void {
    this.#refused = line
    this.#close(line)
  }
}
