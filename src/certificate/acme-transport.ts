/**
 * HTTPS to the CA, as acme-client uses it. Its own retries are taken out: they wait for as long as the CA says inside a call
 * and lose the reason of an error. When to try again is decided in one place, `schedule`, over restarts too.
 */

import { Agent } from 'node:https'
import acme from 'acme-client'
import { reasonOf } from '../net/reason.ts'
import { parseRetryAfter } from './schedule.ts'

export interface TransportOptions {
  /** PEM of the CA of the server's own certificate; those of Node where it is not given. */
  readonly ca?: string | undefined
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const TIMEOUT_MS = 30_000
/** A chain of certificates is some kilobytes. */
const MAX_OCTETS = 1024 * 1024
const ERROR_PREFIX = 'urn:ietf:params:acme:error:'

/** What a CA said was wrong, or why it could not be asked. */
export class AcmeError extends Error {
  /** Of RFC 8555 §6.7, without its prefix: `rateLimited`. `network`: there was no answer. */
  readonly type: string
  /** Milliseconds since 1970. */
  readonly retryAfterMs: number | undefined

  constructor(type: string, message: string, retryAfterMs?: number) {
    super(message)
    this.type = type
    this.retryAfterMs = retryAfterMs
  }
}

/** A problem document, RFC 7807 as RFC 8555 §6.7 uses it; everything in it is the CA's word and may be missing. */
export interface ProblemDocument {
  readonly type?: unknown
  readonly detail?: unknown
  readonly instance?: unknown
  readonly subproblems?: unknown
}

/** The CA that is asked from now on: acme-client has one transport for all of a process. */
export function useTransport({ ca, signal, now }: TransportOptions): void {
  const { axios } = acme
  axios.defaults.httpsAgent = new Agent(ca === undefined ? {} : { ca })
  axios.defaults.signal = signal
  axios.defaults.timeout = TIMEOUT_MS
  axios.defaults.maxContentLength = MAX_OCTETS
  axios.defaults.maxRedirects = 0
  axios.defaults.validateStatus = null
  axios.interceptors.request.clear()
  axios.interceptors.response.clear()
  axios.interceptors.response.use(
    response => {
      const { status, headers, data, config } = response
      // RFC 8555 §6.5: acme-client repeats these with a fresh nonce, a few times.
      if (status < 300 || (status === 400 && typeOf(data) === 'badNonce')) return response
      const retryAfterMs = parseRetryAfter(headers['retry-after'], now())
      const { location } = headers
      const moved = status < 400 && typeof location === 'string' ? `, moved to ${oneLine(location)}` : ''
      throw problem(data, `${hostOf(config.url)} answers HTTP ${status}${moved}`, retryAfterMs, status)
    },
    (error: unknown) => {
      const { config } = error as { config?: { url?: string } }
      throw new AcmeError('network', `${hostOf(config?.url)}: ${networkReason(error)}`)
    },
  )
}

/** @param where what is said before the CA's own words */
export function problem(document: unknown, where: string, retryAfterMs?: number, status?: number): AcmeError {
  // RFC 8555 §6.6 asks for the type; some answer with the status only.
  const type = typeOf(document) ?? (status === 429 ? 'rateLimited' : 'unknown')
  const { detail, instance } = (isRecord(document) ? document : {}) as ProblemDocument
  const words = [typeof detail === 'string' ? oneLine(detail) : null, ...subproblemsOf(document)]
  const see =
    type === 'userActionRequired' && typeof instance === 'string' ? `see ${oneLine(instance)}` : null
  const said = [...words, see, HINTS[type]].filter(part => part != null && part !== '').join('; ')
  return new AcmeError(type, `${where} (${type})${said === '' ? '' : `: ${said}`}`, retryAfterMs)
}

/** What the operator can do about it, where that is not plain from what CAs say. */
const HINTS: Readonly<Record<string, string>> = {
  externalAccountRequired:
    'it knows its customers: write eab_kid and eab_key below [certificate], which it gives you',
  accountDoesNotExist: 'move the account key in the state folder away, and a new account is made',
  badNonce: 'it takes none of its own nonces: is a proxy in between that caches?',
  dns: 'it did not find the TXT record: can its resolvers reach the servers of the zone?',
}

function typeOf(document: unknown): string | undefined {
  const type = isRecord(document) ? document.type : undefined
  return typeof type === 'string' && type.startsWith(ERROR_PREFIX)
    ? oneLine(type.slice(ERROR_PREFIX.length))
    : undefined
}

/** RFC 8555 §6.7.1: an error for each name. */
function subproblemsOf(document: unknown): string[] {
  const list = isRecord(document) ? document.subproblems : undefined
  if (!Array.isArray(list)) return []
  return list.slice(0, 10).flatMap(sub => {
    if (!isRecord(sub) || typeof sub.detail !== 'string') return []
    const name = isRecord(sub.identifier) ? `${sub.identifier.value}: ` : ''
    return [oneLine(`${name}${sub.detail}`)]
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Text of the CA goes to the log and to terminals. */
function oneLine(text: string): string {
  return text.replace(/[\s\x00-\x1f\x7f-\x9f]+/g, ' ').slice(0, 500)
}

function hostOf(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : 'the CA'
}

function networkReason(error: unknown): string {
  const { code, message = '' } = error as Partial<NodeJS.ErrnoException>
  if (code === 'ECONNABORTED') return `no answer within ${TIMEOUT_MS} ms`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name cannot be resolved on this machine'
  if (/^(?:UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_)/.test(code ?? '')) {
    return `its certificate is not trusted (${code}): set [certificate] ca if it is a private CA`
  }
  const reason = reasonOf(error)
  return oneLine(reason || message || String(code))
}
