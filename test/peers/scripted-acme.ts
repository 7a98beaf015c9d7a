/** An ACME server that answers what the test says: for what Pebble does not do, such as limits of rates. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { temporaryFolder } from './program.ts'

export interface ScriptedAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface ScriptedAcme {
  readonly directory: string
  /** A file with the CA of its HTTPS certificate. */
  readonly ca: string
  /** What was asked for: `POST /new-order`. */
  readonly requests: readonly string[]
  stop(): Promise<void>
}

/** Resource of RFC 8555 §7.1.1 → its path. */
const RESOURCES = { newNonce: '/new-nonce', newAccount: '/new-account', newOrder: '/new-order' }

/** @param script path → answer; the directory and nonces are there without being said, and can be said otherwise */
export async function startScriptedAcme(
  script: Readonly<Record<string, ScriptedAnswer>>,
): Promise<ScriptedAcme> {
  const folder = temporaryFolder('scripted-acme')
  const authority = await makeAuthority('scripted')
  const pair = await issue(authority, { names: ['localhost', '127.0.0.1'] })
  const ca = join(folder.path, 'ca.pem')
  writeFileSync(ca, authority.certificate)
  const requests: string[] = []
  const server = createServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
    const { method, url = '' } = request
    requests.push(`${method} ${url}`)
    const urls = Object.entries(RESOURCES).map(([name, path]) => [name, `${origin}${path}`])
    const usual: Record<string, ScriptedAnswer> = {
      '/directory': { status: 200, body: Object.fromEntries(urls) },
      '/new-nonce': { status: 200 },
      '/new-account': {
        status: 200,
        headers: { location: `${origin}/account/1` },
        body: { status: 'valid' },
      },
      '/account/1': { status: 200, body: { status: 'valid' } },
    }
    const { status, headers, body } = script[url] ?? usual[url] ?? { status: 404 }
    request.resume().on('end', () => {
      response.writeHead(status, {
        'replay-nonce': 'bm9uY2U',
        'content-type': 'application/json',
        ...headers,
      })
      response.end(body === undefined ? '' : JSON.stringify(body))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    directory: `${origin}/directory`,
    ca,
    requests,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      folder.remove()
    },
  }
}
