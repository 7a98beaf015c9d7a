/**
 * NAME
 *   internet: the pretend Internet's MX. It takes mail for every domain, stores one copy a recipient in a Maildir and
 *   says what it thinks of the signature.
 * STANDARDS
 *   RFC 5321 §4.4 (final delivery: Return-Path, Received), RFC 3207 (STARTTLS), RFC 8601 (Authentication-Results)
 * HOLDS
 *   a self-signed certificate
 * REACHES
 *   the sandbox's DNS server, for DKIM keys
 * BUGS
 *   It forgets whom it greylisted when it ends.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { endOfHeader, type Field, field, fieldBody, fieldsNamed, parseHeader } from '../message/header.ts'
import { isId, mintId } from '../message/id.ts'
import { formatReceived } from '../message/received.ts'
import { type Client, type Listener, listen, type SessionHandler } from '../net/listener.ts'
import type { Resolver } from '../net/resolver.ts'
import { type KeyPair, TlsAcceptor } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { SmtpError } from '../smtp/error.ts'
import { LIMITS, TIMEOUTS } from '../smtp/limits.ts'
import { formatMailbox, formatPath, type Mailbox, type ReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { Maildir } from './maildir.ts'
import { type Verdict, verify } from './verify.ts'

export interface InternetOptions {
  /** 0: any free port of 127.0.0.1. */
  readonly port: number
  readonly hostname: string
  readonly maildir: string
  readonly certificate: KeyPair
  readonly resolver: Resolver
  readonly log: Log
  /** Told after the message is stored and before the sender is told 250. */
  readonly onDelivery: (delivery: Delivery) => void
  /** How long `slow@` takes; 5 s when not given. */
  readonly slowMs?: number
}

/** One recipient's copy. */
export interface Delivery {
  /** ptt's id, from the Received fields; empty for mail that came another way. */
  readonly id: string
  readonly messageId: string
  readonly reversePath: ReversePath
  readonly recipient: Mailbox
  readonly verdict: Verdict
  readonly path: string
  readonly atMs: number
}

export interface Internet {
  readonly port: number
  close(): Promise<void>
}

export async function startInternet(options: InternetOptions): Promise<Internet> {
  const maildir = new Maildir(options.maildir)
  const greylist = new Set<string>()
  const closing = new AbortController()
  const listener: Listener = await listen({
    address: { host: '127.0.0.1', port: options.port },
    session: {
      hostname: options.hostname,
      limits: LIMITS,
      tls: 'starttls',
      auth: [],
      authRequired: false,
      tlsRequired: false,
      hop: false,
    },
    acceptor: TlsAcceptor.forClients(options.certificate, TIMEOUTS.starttlsMs),
    idleMs: TIMEOUTS.serverMs,
    maxConnections: 1000,
    log: options.log,
    handler: () => new InternetSession(options, maildir, greylist, closing.signal),
  })
  return {
    port: listener.port,
    close() {
      closing.abort()
      return listener.close(1000)
    },
  }
}

/** What happens to mail for some local-parts: one of each outcome to try. */
export const SPECIAL_LOCAL_PARTS: Readonly<Record<string, string>> = {
  bounce: 'is refused for good: 550 5.1.1',
  defer: 'is refused for now, each time: 451 4.3.0',
  greylist: 'is refused for now the first time, then taken',
  slow: 'is taken after five seconds',
}

class InternetSession implements SessionHandler {
  readonly #options: InternetOptions
  readonly #maildir: Maildir
  readonly #greylist: Set<string>
  readonly #closing: AbortSignal
  #reversePath: ReversePath = null
  #recipients: Mailbox[] = []
  #content: Uint8Array[] = []

  constructor(options: InternetOptions, maildir: Maildir, greylist: Set<string>, closing: AbortSignal) {
    this.#options = options
    this.#maildir = maildir
    this.#greylist = greylist
    this.#closing = closing
  }

  mail(reversePath: ReversePath): Reply {
    this.reset()
    this.#reversePath = reversePath
    return reply(250, '2.1.0', 'Originator ok')
  }

  rcpt({ forwardPath }: { readonly forwardPath: Mailbox }): Reply {
    // RFC 5321 §4.5.1: <Postmaster> without a domain is ours.
    const mailbox =
      forwardPath.domain === '' ? { ...forwardPath, domain: this.#options.hostname } : forwardPath
    switch (mailbox.localPart.toLowerCase()) {
      case 'bounce':
        return reply(550, '5.1.1', `No mailbox ${formatMailbox(mailbox)} here`)
      case 'defer':
        return reply(451, '4.3.0', 'This mailbox is never ready, try again later')
      case 'greylist': {
        const pair = `${formatPath(this.#reversePath)} ${formatMailbox(mailbox)}`
        if (!this.#greylist.has(pair)) {
          this.#greylist.add(pair)
          return reply(451, '4.7.1', 'We have not met before, try again later')
        }
      }
    }
    this.#recipients.push(mailbox)
    return reply(250, '2.1.5', 'Recipient ok')
  }

  content(octets: Uint8Array): void {
    this.#content.push(octets)
  }

  async message(client: Client): Promise<Reply> {
    const content = Buffer.concat(this.#content)
    let header: Field[]
    try {
      header = parseHeader(content)
    } catch (error) {
      if (error instanceof SmtpError) return error.reply
      throw error
    }
    if (this.#recipients.some(({ localPart }) => localPart.toLowerCase() === 'slow')) {
      const late = pause(this.#options.slowMs ?? 5_000, 'done', { signal: this.#closing })
      if ((await late.catch(() => 'closing')) !== 'done') return reply(451, '4.3.2', 'Shutting down')
    }
    const id = mintId(Date.now(), randomBytes(10))
    const verdict = await verify(content, this.#options.resolver, this.#options.hostname)
    for (const recipient of this.#recipients)
      await this.#store(content, header, recipient, id, verdict, client)
    return reply(250, '2.0.0', `Stored as ${id}, dkim=${verdict.dkim}`)
  }

  reset(): void {
    this.#reversePath = null
    this.#recipients = []
    this.#content = []
  }

  async #store(
    content: Uint8Array,
    header: readonly Field[],
    recipient: Mailbox,
    id: string,
    verdict: Verdict,
    client: Client,
  ): Promise<void> {
    const nowMs = Date.now()
    const trace = [
      // RFC 5321 §4.4: what was in MAIL ends here, at the top.
      field('Return-Path', formatPath(this.#reversePath)).octets,
      field('Delivered-To', formatMailbox(recipient)).octets,
      Buffer.from(verdict.field),
      formatReceived({
        from: client.helo,
        address: client.address,
        ...(client.tls === null ? {} : { tls: client.tls }),
        by: this.#options.hostname,
        protocol: client.protocol,
        id,
        for: recipient,
        dateMs: nowMs,
      }),
    ]
    const end = endOfHeader(content)
    const rest = end < 0 ? [] : [content.subarray(end - 2)]
    const kept = header.filter(one => !this.#forged(one)).map(one => one.octets)
    const path = await this.#maildir.deliver([...trace, ...kept, ...rest], nowMs)
    const delivery = {
      id: idOf(header),
      messageId: messageIdOf(header),
      reversePath: this.#reversePath,
      recipient,
      verdict,
      path,
      atMs: nowMs,
    }
    this.#options.log.event('delivered', {
      id: delivery.id,
      recipient: formatMailbox(recipient),
      dkim: verdict.dkim,
      ...(verdict.comment === '' ? {} : { reason: verdict.comment }),
      path,
    })
    this.#options.onDelivery(delivery)
  }

  /** RFC 8601 §5: an Authentication-Results field in our name that we did not write. */
  #forged(one: Field): boolean {
    if (one.name.toLowerCase() !== 'authentication-results') return false
    const [authservId = ''] = fieldBody(one).split(/[;\s]/, 1)
    return authservId.toLowerCase() === this.#options.hostname
  }
}

/** The id our servers gave it: the ID clause of a Received field (RFC 5321 §4.4); a notice has it in its Message-ID. */
function idOf(header: readonly Field[]): string {
  const ids = fieldsNamed(header, 'Received').map(one => /\bid\s+(\S+?)[;\s]/.exec(fieldBody(one))?.[1] ?? '')
  return [...ids, ...messageIdOf(header).split(/[<@]/)].find(isId) ?? ''
}

function messageIdOf(header: readonly Field[]): string {
  return fieldsNamed(header, 'Message-ID').map(fieldBody)[0] ?? ''
}
