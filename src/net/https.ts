/**
 * A small file of a web server that must be the one it says it is: HTTPS GET (RFC 9110, RFC 9112) for what is published
 * about mail, and POST for reports. The name is looked up by our resolver and never by the system's, addresses that are not
 * of the Internet are not spoken to, redirects are not followed, nothing is cached, nothing is decompressed, and time and size
 * have limits: whoever has a domain can say what name we ask for.
 */

import { request } from 'node:https'
import { TLSSocket } from 'node:tls'
import { verifiedTls } from './mx-tls.ts'
import { type Networks, UNREACHABLE } from './networks.ts'
import { reasonOf } from './reason.ts'
import type { Resolver } from './resolver.ts'

export interface HttpsOptions {
  readonly resolver: Pick<Resolver, 'addresses'>
  /** Of addresses that cannot be on the Internet, those that may be spoken to all the same. */
  readonly privateNetworks: Networks
  /** PEM; the CAs that Node trusts when not given. */
  readonly ca?: string
  /** 443; another for tests. */
  readonly port?: number
  /** For all of it: the name, every address, the whole answer. */
  readonly timeoutMs: number
  /** Of one address, TCP and TLS: the others should have their turn within the whole. 10 s when not given. */
  readonly connectMs?: number
  /** Of the body. */
  readonly maxOctets: number
  readonly signal?: AbortSignal
}

export interface HttpsResponse {
  readonly kind: 'response'
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Whole where the status is 200; it is not read for others. */
  readonly body: Buffer
}

export interface HttpsFailure {
  readonly kind: 'failure'
  /**
   * `name`: it has no address, or none on the Internet, or nobody knows. `certificate`: it is not for this name, not of this
   * time, or of no CA that is trusted. `timeout`: of the whole.
   */
  readonly code: 'name' | 'connect' | 'tls' | 'certificate' | 'timeout' | 'response' | 'size'
  /** In words, on one line. */
  readonly reason: string
}

/** What is POSTed. */
export interface HttpsContent {
  readonly type: string
  readonly octets: Uint8Array
}

const CONNECT_MS = 10_000
const MAX_ADDRESSES = 6

/**
 * Asks one address after the other until one answers. Never rejects.
 *
 * @param host a domain name in ASCII
 * @param path with a slash before it
 */
export function httpsGet(
  host: string,
  path: string,
  options: HttpsOptions,
): Promise<HttpsResponse | HttpsFailure> {
  return ask({ host, authority: host, path }, options)
}

/**
 * As `httpsGet`, but to an `https:` URL, whose port counts. Whatever the answer says beyond its header is not read.
 * @throws RangeError when the URL is of another scheme
 */
export async function httpsPost(
  url: URL,
  content: HttpsContent,
  options: Omit<HttpsOptions, 'port' | 'maxOctets'>,
): Promise<HttpsResponse | HttpsFailure> {
  if (url.protocol !== 'https:') throw new RangeError(`not an https: URL: ${url.protocol}`)
  const port = url.port === '' ? 443 : Number(url.port)
  const { hostname: host, host: authority, pathname, search } = url
  return ask({ host, authority, path: `${pathname}${search}`, content }, { ...options, port, maxOctets: 0 })
}

interface Asked {
  readonly host: string
  /** With the port (RFC 9110 §7.2). */
  readonly authority: string
  readonly path: string
  readonly content?: HttpsContent
}

async function ask(asked: Asked, options: HttpsOptions): Promise<HttpsResponse | HttpsFailure> {
  const { host } = asked
  const { resolver, privateNetworks, timeoutMs } = options
  const given = options.signal === undefined ? [] : [options.signal]
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...given])
  const found = await Promise.race([resolver.addresses(host), aborted(signal)])
  if (found === null) return failure('timeout', `${host}: its address was not found in ${timeoutMs} ms`)
  if (found.kind === 'failure') return failure('name', `address of ${host}: ${found.code}, ${found.reason}`)
  if (found.kind !== 'answer') return failure('name', `${host} has no address`)
  const addresses = found.records.map(({ address }) => address)
  const reachable = addresses.filter(address => !UNREACHABLE.has(address) || privateNetworks.has(address))
  if (reachable.length === 0) {
    const shown = addresses.slice(0, MAX_ADDRESSES).join(', ')
    const hint = '[relay] private_networks can allow it'
    return failure('name', `${host} has no address on the Internet: ${shown} (${hint})`)
  }
  const failures: HttpsFailure[] = []
  for (const address of reachable.slice(0, MAX_ADDRESSES)) {
    const answer = await exchange(address, asked, options, signal)
    if (answer.kind === 'response' || !ANOTHER_MAY.has(answer.code)) return answer
    failures.push(answer)
  }
  // What says most of several: somebody was there, and was not who he should be.
  const [first = failure('connect', `${host}: nobody was asked`)] = failures
  return failures.find(({ code }) => code === 'certificate') ?? first
}

/** Failures of one address that say nothing of the next. */
const ANOTHER_MAY: ReadonlySet<HttpsFailure['code']> = new Set(['connect', 'tls', 'certificate'])

function exchange(
  address: string,
  { host, authority, path, content }: Asked,
  { ca, port = 443, timeoutMs, connectMs = CONNECT_MS, maxOctets }: HttpsOptions,
  signal: AbortSignal,
): Promise<HttpsResponse | HttpsFailure> {
  return new Promise(resolve => {
    let stage: 'connect' | 'tls' | 'response' = 'connect'
    const asking = request({
      ...{ method: content === undefined ? 'GET' : 'POST', host: address, port, path, agent: false, signal },
      headers: {
        ...{ host: authority, accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'ptt' },
        ...(content && { 'content-type': content.type, 'content-length': content.octets.length }),
      },
      ...verifiedTls(host),
      ...(ca === undefined ? {} : { ca }),
    })
    const end = (outcome: HttpsResponse | HttpsFailure) => {
      clearTimeout(timer)
      resolve(outcome)
      asking.destroy()
    }
    const fail = (code: HttpsFailure['code'], reason: string) =>
      end(failure(code, `${host} (${address}): ${reason}`))
    const broken = (error: Error) => {
      const { socket } = asking
      if (signal.aborted) return fail('timeout', `${UNTIL[stage]} in ${timeoutMs} ms`)
      if (socket instanceof TLSSocket && socket.authorizationError != null)
        return fail('certificate', `its certificate is not valid: ${reasonOf(error)}`)
      fail(stage, stage === 'response' ? `its answer broke off: ${reasonOf(error)}` : reasonOf(error))
    }
    const timer = setTimeout(() => fail(stage, `${UNTIL[stage]} in ${connectMs} ms`), connectMs)
    asking.on('socket', socket => {
      socket.once('connect', () => {
        stage = 'tls'
      })
      socket.once('secureConnect', () => {
        stage = 'response'
        clearTimeout(timer)
      })
    })
    asking.on('error', broken)
    asking.on('response', response => {
      const { statusCode: status = 0, headers } = response
      response.on('error', broken)
      if (status !== 200 || content !== undefined)
        return end({ kind: 'response', status, headers, body: Buffer.alloc(0) })
      const objection = objectionToFraming(headers)
      if (objection !== null) return fail('response', objection)
      const chunks: Buffer[] = []
      let octets = 0
      response.on('data', (chunk: Buffer) => {
        octets += chunk.length
        if (octets > maxOctets) fail('size', `its answer is larger than ${maxOctets} octets`)
        else chunks.push(chunk)
      })
      response.on('end', () => end({ kind: 'response', status, headers, body: Buffer.concat(chunks) }))
    })
    asking.end(content?.octets)
  })
}

/** What did not come about. */
const UNTIL = { connect: 'no connection', tls: 'no TLS', response: 'no whole answer' } as const

function objectionToFraming(headers: HttpsResponse['headers']): string | null {
  const coding = headers['content-encoding'] ?? 'identity'
  if (coding !== 'identity') return 'its answer is compressed, which was not asked for'
  // RFC 9112 §9.8: an answer that ends with the connection may have been cut short by anybody on the way.
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined)
    return 'its answer has neither a length nor an end that could be known (Content-Length, or chunks)'
  return null
}

function failure(code: HttpsFailure['code'], reason: string): HttpsFailure {
  // A certificate's names are others' text.
  return { kind: 'failure', code, reason: reason.replace(/[\s\x00-\x1f\x7f-\x9f]+/g, ' ').slice(0, 400) }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(null)
    else signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}
