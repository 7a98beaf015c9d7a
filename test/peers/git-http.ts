/** Smart HTTP for a Git repository: `git http-backend` (CGI, RFC 3875) behind a small HTTP or HTTPS server. */

import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { run, temporaryFolder } from './program.ts'

export interface GitHttp {
  readonly port: number
  readonly url: string
  /** The CA of the server's certificate, PEM file, for GIT_SSL_CAINFO; `null` without TLS. */
  readonly ca: string | null
  /** `GET /users.git/info/refs?service=git-upload-pack`, in order of arrival. */
  readonly requests: readonly string[]
  stop(): Promise<void>
}

export interface GitHttpOptions {
  readonly tls?: boolean
  /** 0 is a free one; a given one is for a server that comes back. */
  readonly port?: number
  /** Requests are taken and never answered. */
  readonly silent?: boolean
  /** `user:password` (RFC 7617); without them, 401. */
  readonly credentials?: string
  /** After so many octets of a pack the server is dead; asked each time. */
  readonly dieAfter?: () => number | null
}

/** Serves the bare repository at `path`, for fetch and push. */
export async function startGitHttp(path: string, options: GitHttpOptions = {}): Promise<GitHttp> {
  const backend = join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend')
  const folder = temporaryFolder('git-http')
  const requests: string[] = []
  const listener: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const { credentials } = options
    const basic = credentials === undefined ? null : `Basic ${Buffer.from(credentials).toString('base64')}`
    if (basic !== null && request.headers.authorization !== basic)
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="users"' }).end()
    else if (options.silent !== true)
      answer(backend, dirname(path), request, response, options.dieAfter?.() ?? null)
  }
  const pair = options.tls ? await certificate(folder.path) : null
  const server = pair ? createTlsServer(pair.pem, listener) : createServer(listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `${pair ? 'https' : 'http'}://localhost:${port}/${basename(path)}`,
    ca: pair?.file ?? null,
    requests,
    async stop() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      folder.remove()
    },
  }
}

function answer(
  backend: string,
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  dieAfter: number | null,
): void {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const child = spawn(backend, [], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      // A push is allowed to whom the web server knows.
      REMOTE_USER: 'test',
      REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(path),
      QUERY_STRING: query,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: request.headers['content-length'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
  })
  child.stdin.on('error', () => {})
  request.pipe(child.stdin)
  let head: Buffer | null = Buffer.alloc(0)
  let octets = 0
  child.stdout.on('data', (chunk: Buffer) => {
    octets += chunk.length
    if (dieAfter !== null && octets > dieAfter) return void response.destroy()
    if (head === null) return void response.write(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(/:\s*/, 2)
      if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.write(head.subarray(end + 4))
    head = null
  })
  child.stdout.on('end', () => response.end())
  response.on('close', () => child.kill())
}

/** For localhost, of a CA of its own: the server has no certificate that others trust. */
async function certificate(folder: string): Promise<{ pem: { key: string; cert: string }; file: string }> {
  const at = (name: string) => join(folder, name)
  const make = async (name: string, ...options: string[]) => {
    const made = await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), ...options],
    ])
    if (made.code !== 0) throw new Error(made.output)
  }
  await make('ca', '-subj', '/CN=The CA of a Git host')
  await make(
    'server',
    ...['-subj', '/CN=localhost', '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE'],
  )
  const read = (name: string) => readFileSync(at(name), 'utf8')
  return { pem: { key: read('server.key'), cert: read('server.pem') }, file: at('ca.pem') }
}
