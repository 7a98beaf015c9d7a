/** An HTTPS server that answers what a test says, and can misbehave: for net/https.ts and what is built on it. */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { KeyPair } from '../../src/net/tls.ts'

export interface HttpsAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What is answered now; a function does it by itself, or does nothing. */
export type HttpsScript = HttpsAnswer | ((request: IncomingMessage, response: ServerResponse) => void)

export interface HttpsPeer {
  readonly port: number
  /** `GET mta-sts.example.com /path` of each request that came. */
  readonly requests: string[]
  /** How many there were, with and without TLS. */
  readonly connections: number
  /** What every client said it wants in TLS: the name, `false` where it said none. */
  readonly names: (string | false)[]
  answer(script: HttpsScript): void
  /** Another certificate from the next connection on. */
  present(pair: KeyPair): void
  stop(): Promise<void>
}

export interface HttpsPeerOptions {
  readonly script: HttpsScript
  readonly maxVersion?: 'TLSv1.1' | 'TLSv1.2'
  /** An address of 127.0.0.0/8. */
  readonly address?: string
  readonly port?: number
}

export async function startHttpsServer(pair: KeyPair, options: HttpsPeerOptions): Promise<HttpsPeer> {
  const { maxVersion, address = '127.0.0.1', port = 0 } = options
  let { script } = options
  const requests: string[] = []
  const names: (string | false)[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const old = maxVersion === 'TLSv1.1'
  const server: Server = createServer(
    {
      cert: pair.certificate,
      key: pair.key,
      ...(maxVersion === undefined ? {} : { maxVersion }),
      // OpenSSL speaks what is that old only at the level of security of then.
      ...(old ? { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' } : {}),
    },
    (request, response) => {
      requests.push(`${request.method} ${request.headers.host} ${request.url}`)
      if (typeof script === 'function') return script(request, response)
      const { status = 200, headers = { 'content-type': 'text/plain' }, body = '' } = script
      response.writeHead(status, headers)
      response.end(body)
    },
  )
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', socket => names.push(socket.servername as string | false))
  server.listen(port, address)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    names,
    get connections() {
      return connections
    },
    answer(next) {
      script = next
    },
    present(next) {
      server.setSecureContext({ cert: next.certificate, key: next.key })
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
