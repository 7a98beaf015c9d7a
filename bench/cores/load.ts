/**
 * What stands before and behind the services that are measured, one process: it sends messages and takes them. To its
 * parent's word, a number of seconds, it works for so long, waits until all that was accepted has arrived, and says how
 * many that were, in what time, and what it cost itself.
 */

import { createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { readPem, readSecret } from '../../src/config/file.ts'
import { loadConfig } from '../../src/config/load.ts'
import { scramCrypto } from '../../src/directory/scram.ts'
import { mintId } from '../../src/message/id.ts'
import { Connection } from '../../src/net/connection.ts'
import { hopSession } from '../../src/net/hop.ts'
import { listen } from '../../src/net/listener.ts'
import { Peer } from '../../src/net/peer.ts'
import { type Role, TlsAcceptor } from '../../src/net/tls.ts'
import { deliver } from '../../src/net/transaction.ts'
import { silent } from '../../src/observe/event.ts'
import type { Envelope } from '../../src/smtp/envelope.ts'
import { TIMEOUTS } from '../../src/smtp/limits.ts'
import { fixedReply } from '../../src/smtp/reply.ts'

export interface Load {
  /** ptt.toml of the deployment. */
  readonly file: string
  /** Who sends: users, or a service. */
  readonly from: 'users' | 'submission' | 'signer'
  /** Each message over a connection of its own. */
  readonly fresh: boolean
  /** Who takes: a service that throws away, or the Internet. */
  readonly to: 'signer' | 'relay' | 'internet'
  readonly sessions: number
  readonly destinations: number
  readonly user: { readonly name: string; readonly password: string }
}

export interface Worked {
  readonly messages: number
  readonly seconds: number
  readonly cpuMs: number
  /** Replies other than 250, each once. */
  readonly complaints: readonly string[]
}

const load = JSON.parse(process.argv[2] ?? '{}') as Load
const config = loadConfig(load.file)
const { domain, hop, submission, signer, relay } = config
const ca = readPem(hop.ca)
const CONTENT = Buffer.from(
  `From: ${load.user.name}\r\nTo: bob@d1.test\r\nSubject: bench\r\n\r\n${`${'x'.repeat(76)}\r\n`.repeat(50)}`,
)
const complaints = new Set<string>()
let arrived = 0

function pairOf(role: Role) {
  const { hopCertificate, hopKey } = { submission, signer, relay }[role]
  return { certificate: readPem(hopCertificate), key: readSecret(hopKey) }
}

function envelopeOf(number: number): Envelope {
  const [localPart = '', own = ''] = load.user.name.split('@')
  const destination = `d${(number % load.destinations) + 1}.test`
  return {
    reversePath: { localPart, domain: own },
    recipients: [{ forwardPath: { localPart: 'bob', domain: destination } }],
    body: '7BIT',
    smtputf8: false,
    ...(load.from === 'users'
      ? {}
      : {
          authenticatedAs: load.user.name,
          xptt: { id: mintId(Date.now(), crypto.getRandomValues(new Uint8Array(10))) },
        }),
  }
}

/** Sends one message; resolves with the reply's text. */
type Send = (number: number) => Promise<string>

/** One for each session. */
async function sender(): Promise<Send> {
  if (load.from !== 'users') {
    const next = load.from === 'submission' ? signer : relay
    const role = load.from === 'submission' ? 'signer' : 'relay'
    const hostname = `${load.from}.${domain}`
    const waits = { waitMs: 30_000, replyMs: 60_000, maxConnections: 1, log: silent }
    const peer = new Peer({ endpoint: next.listen, role, pair: pairOf(load.from), ca, hostname, ...waits })
    return async number => String((await peer.deliver(envelopeOf(number), [CONTENT])).code)
  }
  const open = async () => {
    const connection = await Connection.open({
      ...submission.listen,
      hostname: 'client.test',
      tls: { mode: 'implicit', options: { ca, servername: 'localhost' } },
      connectMs: 30_000,
      timeouts: TIMEOUTS,
    })
    const { name: username, password } = load.user
    const { code } = await connection.auth({ username, password }, scramCrypto)
    if (code !== 235) throw new Error(`AUTH was answered ${code}`)
    return connection
  }
  let kept: Connection | null = null
  return async number => {
    const connection = kept ?? (await open())
    const { mail, message } = await deliver(connection, envelopeOf(number), [CONTENT])
    if (load.fresh) connection.quit()
    else kept = connection
    return String((message ?? mail).code)
  }
}

/** A service that says it has kept what it has thrown away. */
async function startHop(role: 'signer' | 'relay'): Promise<void> {
  const { listen: address } = { signer, relay }[role]
  const ok = fixedReply(250, '2.0.0', 'OK')
  await listen({
    address,
    session: hopSession(`${role}.${domain}`),
    acceptor: TlsAcceptor.forHop(pairOf(role), ca, 30_000),
    idleMs: 3600_000,
    maxConnections: 1000,
    log: silent,
    handler: () => ({
      mail: () => ok,
      rcpt: () => ok,
      content: () => {},
      async message() {
        arrived++
        return ok
      },
      reset: () => {},
    }),
  })
}

/** Every destination at an address of its own. `fresh`: over TLS, and closed after each message. */
async function startInternet(): Promise<void> {
  const pair = { cert: readPem(submission.certificate), key: readSecret(submission.key) }
  const context = load.fresh ? createSecureContext(pair) : null
  for (let number = 1; number <= load.destinations; number++) {
    const server = createServer({ noDelay: true }, socket => {
      socket.write('220 mx.test ESMTP\r\n')
      converse(socket, context !== null)
    })
    await new Promise<void>(resolve => server.listen(relay.smtpPort, `127.0.1.${number}`, resolve))
  }

  function converse(socket: Socket, offersTls: boolean): void {
    let content = false
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (;;) {
        const end = text.indexOf(content ? '\r\n.\r\n' : '\r\n')
        if (end < 0) return
        const line = text.slice(0, end)
        text = text.slice(end + (content ? 5 : 2))
        if (content) {
          content = false
          arrived++
          socket.write('250 2.0.0 OK\r\n')
          if (load.fresh) socket.end()
        } else if (/^EHLO/i.test(line))
          socket.write(
            `250-mx.test\r\n250-PIPELINING\r\n${offersTls ? '250-STARTTLS\r\n' : ''}250 8BITMIME\r\n`,
          )
        else if (/^STARTTLS/i.test(line) && context !== null) {
          socket.write('220 2.0.0 OK\r\n')
          socket.removeListener('data', onData)
          return converse(new TLSSocket(socket, { isServer: true, secureContext: context }), false)
        } else if (/^DATA/i.test(line)) {
          content = true
          socket.write('354 OK\r\n')
        } else if (/^QUIT/i.test(line)) socket.end('221 2.0.0 OK\r\n')
        else socket.write('250 2.0.0 OK\r\n')
      }
    }
    socket.on('data', onData).on('error', () => socket.destroy())
  }
}

async function work(seconds: number): Promise<Worked> {
  const before = process.cpuUsage()
  const begunMs = performance.now()
  const beganWith = arrived
  let number = 0
  let accepted = 0
  const session = async (send: Send) => {
    while (performance.now() - begunMs < seconds * 1000) {
      const code = await send(number++)
      if (code === '250') accepted++
      else complaints.add(code)
    }
  }
  await Promise.all(senders.map(session))
  const untilMs = performance.now() + 60_000
  while (arrived - beganWith < accepted) {
    if (performance.now() > untilMs) throw new Error(`${accepted - arrived + beganWith} have not arrived`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  const { user, system } = process.cpuUsage(before)
  const ms = performance.now() - begunMs
  return {
    messages: accepted,
    seconds: ms / 1000,
    cpuMs: (user + system) / 1000,
    complaints: [...complaints],
  }
}

const senders: Send[] = []
if (load.to === 'internet') await startInternet()
else await startHop(load.to)
process.on('message', async (seconds: number) => {
  while (senders.length < load.sessions) senders.push(await sender())
  process.send?.(await work(seconds))
})
process.send?.('ready')
