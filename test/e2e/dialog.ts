/** An SMTP dialog by hand: lines out, replies in. For what no decent client would say. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

export class Dialog {
  #socket: Socket
  #received = ''
  #ended = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#listen()
  }

  static async plain(port: number): Promise<Dialog> {
    const socket = connectTcp(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Dialog(socket)
  }

  static async tls(port: number, options: ConnectionOptions): Promise<Dialog> {
    const socket = connectTls({ host: '127.0.0.1', port, ...options })
    await once(socket, 'secureConnect')
    return new Dialog(socket)
  }

  async starttls(options: ConnectionOptions): Promise<void> {
    await this.say('STARTTLS', 220)
    this.#socket.removeAllListeners()
    const socket = connectTls({ socket: this.#socket, ...options })
    this.#socket = socket
    await once(socket, 'secureConnect')
    this.#listen()
  }

  /** Octets as they are. */
  send(octets: string | Uint8Array): void {
    this.#socket.write(octets)
  }

  /** A line, and its reply, which must have this code. */
  async say(line: string, code?: number): Promise<string> {
    this.send(`${line}\r\n`)
    return this.expect(code, line)
  }

  /** The next reply, all its lines. */
  async expect(code?: number, after = 'connecting'): Promise<string> {
    const signal = AbortSignal.timeout(60_000)
    while (true) {
      const reply = /^(?:\d{3}-[^\n]*\r\n)*\d{3}(?: [^\n]*)?\r\n/.exec(this.#received)?.[0]
      if (reply !== undefined) {
        this.#received = this.#received.slice(reply.length)
        if (code !== undefined) assert.equal(reply.slice(0, 3), String(code), `after ${after}: ${reply}`)
        return reply
      }
      assert.ok(!this.#ended, `closed after ${after}; received: ${JSON.stringify(this.#received)}`)
      await once(this.#socket, 'heard', { signal })
    }
  }

  /** The other side closes, and says nothing more before it does. */
  async closed(): Promise<void> {
    const signal = AbortSignal.timeout(60_000)
    while (!this.#ended) await once(this.#socket, 'heard', { signal })
    assert.equal(this.#received, '')
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #listen(): void {
    const socket = this.#socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      socket.emit('heard')
    })
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.#ended = true
        socket.emit('heard')
      })
    }
  }
}
