/**
 * `POST /hooks/git`: the Git host says that something was pushed, and the service looks at once. It learns nothing from it:
 * what is in force comes from the repository, by the service's own clone.
 *
 * It speaks HTTP without TLS: it belongs on a loopback address or behind a reverse proxy.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { FileError, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../observe/event.ts'
import { SenderCheck } from './sender.ts'

export interface Hooks {
  readonly port: number
  close(): Promise<void>
}

export interface HooksOptions {
  readonly address: { readonly host: string; readonly port: number }
  readonly secret: string
  /** Looks at the repository. */
  readonly refresh: () => Promise<void>
  readonly log: Log
}

const PATH = '/hooks/git'
/** What GitHub sends at most. It is hashed as it comes, not kept. */
const MAX_OCTETS = 25 * 1024 * 1024
const MAX_CONNECTIONS = 50
const HEADERS_MS = 5000
const REQUEST_MS = 30_000
/** 128 bits in hexadecimal digits. */
const LEAST_SECRET = 32

/** `null`: none are configured for this service. @throws FileError */
export async function openHooks(
  { hooks }: Pick<Config, 'hooks'>,
  service: 'submission' | 'signer' | 'relay',
  refresh: () => Promise<void>,
  log: Log,
): Promise<Hooks | null> {
  const address = hooks?.[service]
  if (hooks === undefined || address === undefined) return null
  return listenForHooks({ address, secret: readHookSecret(hooks.secret), refresh, log })
}

/** @throws FileError */
export function readHookSecret(path: string): string {
  const secret = readSecret(path).trim()
  if (secret.length >= LEAST_SECRET) return secret
  throw new FileError(`${path}: is shorter than ${LEAST_SECRET} characters: openssl rand -hex 32`)
}

export async function listenForHooks(options: HooksOptions): Promise<Hooks> {
  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, keepAlive: false },
    (request, response) => {
      answer(request, response, options).catch(() => request.destroy())
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.listen(options.address.port, options.address.host)
  await once(server, 'listening')
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : options.address.port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { secret, refresh, log }: HooksOptions,
): Promise<void> {
  const client = request.socket.remoteAddress
  const say = (code: number, text: string) => {
    response.writeHead(code, { 'Content-Type': 'text/plain', Connection: 'close' }).end(`${text}\n`)
    if (code >= 400) log.event('refused', { verb: request.method, client, reason: text }, 'warn')
  }
  if (request.url !== PATH) return say(404, `There is only ${PATH} here`)
  if (request.method !== 'POST') return say(405, 'Only POST is understood')
  const check = new SenderCheck(request.headers, secret)
  let sizeOctets = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeOctets += chunk.length
    if (sizeOctets > MAX_OCTETS) return say(413, `More than ${MAX_OCTETS} octets`)
    check.update(chunk)
  }
  const sender = check.finish()
  if (sender === null) return say(401, 'No signature or token of the secret')
  // Git hosts do not wait for long.
  say(202, 'Looking')
  await refresh()
  log.event('reloaded', { by: 'hook', sender, client })
}
