/** Where a server listens or is reached: a host and a port, as configuration and logs write it. */

import { isIP, isIPv6 } from 'node:net'

export interface Endpoint {
  /** An IPv4 or IPv6 address without brackets, or a host name. */
  readonly host: string
  readonly port: number
}

/** The text is no endpoint; the message says what to write instead. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError'
}

const BRACKETED = /^\[([^\]]*)\](?::(.*))?$/
const PLAIN = /^([^:]*)(?::(.*))?$/
// RFC 1123 §2.1: letters, digits and inner hyphens; an underscore occurs in container networks.
const HOST =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i
const PORT = /^[0-9]{1,5}$/

/**
 * `192.0.2.1:465`, `[2001:db8::1]:465`, `mail.example.com:465`. The port may be left out where there is a
 * default; an IPv6 address without a port may be written without its brackets. Port 0 lets the system choose
 * (tests).
 *
 * @throws EndpointError
 */
export function parseEndpoint(text: string, defaultPort?: number): Endpoint {
  if (isIPv6(text)) return { host: text, port: parsePort(text, undefined, defaultPort) }
  const bracketed = BRACKETED.exec(text)
  const [, host = '', port] = bracketed ?? PLAIN.exec(text) ?? []
  if (bracketed ? !isIPv6(host) : !isHost(host)) {
    throw new EndpointError(`'${text}': write address:port, [IPv6 address]:port or host:port`)
  }
  return { host, port: parsePort(text, port, defaultPort) }
}

/** The inverse of `parseEndpoint`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`
}

function isHost(host: string): boolean {
  // "192.0.2" and "300.1.1.1" are mistyped addresses: no top-level domain is made of digits only (RFC 3696
  // §2).
  return isIP(host) === 4 || (HOST.test(host) && !/(?:^|\.)[0-9]+\.?$/.test(host))
}

function parsePort(text: string, port: string | undefined, defaultPort: number | undefined): number {
  if (port === undefined) {
    if (defaultPort === undefined)
      throw new EndpointError(`'${text}': the port is missing, write ${text}:port`)
    return defaultPort
  }
  if (!PORT.test(port) || Number(port) > 65535) {
    throw new EndpointError(`'${text}': the port is a number from 0 to 65535`)
  }
  return Number(port)
}
