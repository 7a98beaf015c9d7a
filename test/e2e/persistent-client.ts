/**
 * A client that does not give up, as mail programs and web applications with a queue of their own do: a message whose
 * 250 it has not got is sent again, whatever happened to the connection. A 5xx is the test's failure.
 */

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { type Deployment, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

const AGAIN_MS = 50
/** A test must end: a minute or so. */
const MOST_FAILURES = 1000

export interface Acknowledgement {
  /** In the 250. */
  readonly id: string
  /** What became of each attempt before that. */
  readonly failures: readonly string[]
  /** Of these, how often it was sent whole and never answered: nobody knows whether it was taken. */
  readonly unanswered: number
}

export class PersistentClient {
  readonly #deployment: Deployment
  readonly #signal: AbortSignal | undefined
  #dialog: Dialog | null = null
  #sentWhole = false

  /** `signal`: what ends its patience. */
  constructor(deployment: Deployment, signal?: AbortSignal) {
    this.#deployment = deployment
    this.#signal = signal
  }

  async send(message: string, to: string): Promise<Acknowledgement> {
    const failures: string[] = []
    for (let unanswered = 0; ; ) {
      this.#sentWhole = false
      try {
        const reply = await this.#attempt(message, to)
        const id = /^250 .*Queued as (\w+)/.exec(reply)?.[1]
        if (id !== undefined) return { id, failures, unanswered }
        assert.match(reply, /^4/)
        failures.push(reply.trim())
      } catch (error) {
        if (error instanceof Refused) throw error
        failures.push(String(error))
        if (this.#sentWhole) unanswered++
      }
      this.close()
      this.#signal?.throwIfAborted()
      assert.ok(failures.length < MOST_FAILURES, `in vain ${MOST_FAILURES} times: ${failures.at(-1)}`)
      await pause(AGAIN_MS)
    }
  }

  close(): void {
    this.#dialog?.destroy()
    this.#dialog = null
  }

  /** The reply that ended it: to the message, or a 4xx before that. Throws when the connection broke. */
  async #attempt(message: string, to: string): Promise<string> {
    const dialog = this.#dialog ?? (await this.#open())
    this.#dialog = dialog
    for (const [line, expected] of [
      [`MAIL FROM:<${USER}>`, '250'],
      [`RCPT TO:<${to}>`, '250'],
      ['DATA', '354'],
    ] as const) {
      const reply = await dialog.say(line)
      if (!reply.startsWith(expected)) return checked(reply)
    }
    dialog.send(`${message.replaceAll(/^\./gm, '..')}.\r\n`)
    this.#sentWhole = true
    return checked(await dialog.expect())
  }

  async #open(): Promise<Dialog> {
    const { authority, config } = this.#deployment
    const tls = { ca: authority.certificate, servername: 'localhost' }
    const dialog = await Dialog.tls(config.submission.listen.port, tls)
    await dialog.expect(220)
    await dialog.say('EHLO client.test', 250)
    await dialog.say(`AUTH PLAIN ${Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')}`, 235)
    return dialog
  }
}

class Refused extends Error {}

function checked(reply: string): string {
  if (reply.startsWith('5')) throw new Refused(reply)
  return reply
}
