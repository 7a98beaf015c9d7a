/** What may stand on the right of `=` in ptt.toml beyond TOML's own types: durations, sizes, endpoints, names. */

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** A kind of value written as a string. `noun` and `write` make the message when `parse` has no answer. */
export interface Kind<T> {
  readonly noun: string
  readonly write: string
  parse(text: string): T | undefined
}

const DURATION_UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export const duration: Kind<number> = {
  noun: 'a duration',
  write: 'write a number and a unit, such as "500ms", "30s", "5m", "4h" or "5d"',
  parse(text) {
    const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)\s?(ms|s|m|h|d)$/.exec(text) ?? []
    return number && unit ? Math.round(Number(number) * (DURATION_UNITS[unit] ?? Number.NaN)) : undefined
  },
}

/** What a timer can count: longer ones would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** A duration that something waits for, or that something is repeated after. */
export const wait: Kind<number> = {
  noun: 'a duration of 1ms to 24d',
  write: duration.write,
  parse(text) {
    const ms = duration.parse(text)
    return ms !== undefined && ms >= 1 && ms <= LONGEST_TIMER_MS ? ms : undefined
  },
}

const SIZE_UNITS: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
}

export const size: Kind<number> = {
  noun: 'a size',
  write: 'write a number and a unit, such as "512 KiB" or "25 MiB"',
  parse(text) {
    const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)\s?([KMG]?i?B)$/.exec(text) ?? []
    const octets = number && unit ? Math.round(Number(number) * (SIZE_UNITS[unit] ?? Number.NaN)) : Number.NaN
    return Number.isNaN(octets) ? undefined : octets
  },
}

/** `host:port`, `[IPv6]:port`; without a port where there is a usual one. */
export function endpoint(defaultPort: number, lowestPort: 0 | 1): Kind<Endpoint> {
  return {
    noun: 'an address and a port',
    write: `write for example "127.0.0.1:${defaultPort}", "[::1]:${defaultPort}" or "mail.example.com:${defaultPort}"`,
    parse(text) {
      const [, v6, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
      // An IPv6 address without brackets: it cannot have a port.
      const address = v6 ?? (name === undefined ? text : undefined)
      const host = address === undefined ? hostOrAddress(name ?? '') : ipv6(address)
      const port = digits === undefined ? defaultPort : Number(digits)
      return host && port >= lowestPort && port <= 65_535 ? { host, port } : undefined
    },
  }
}

function hostOrAddress(text: string): string | undefined {
  // What is all digits and dots is an address, and must be whole.
  if (!/^[\d.]+$/.test(text)) return domainName.parse(text)
  const octets = text.split('.')
  return octets.length === 4 && octets.every(octet => /^\d{1,3}$/.test(octet) && Number(octet) < 256)
    ? text
    : undefined
}

function ipv6(text: string): string | undefined {
  return /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) && URL.canParse(`http://[${text}]/`) ? text : undefined
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
export const network: Kind<string> = {
  noun: 'a network',
  write: 'write an address and the length of its prefix, such as "10.0.0.0/8" or "fd00::/8"',
  parse(text) {
    const [, address, length] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? []
    if (address === undefined) return undefined
    const isV6 = address.includes(':')
    const known = isV6 ? ipv6(address) : /^[\d.]+$/.test(address) ? hostOrAddress(address) : undefined
    return known !== undefined && Number(length ?? 0) <= (isV6 ? 128 : 32) ? text : undefined
  },
}

const LABELS =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** A domain name, made lower case and its U-labels A-labels (RFC 5890 §2.3.2.1). */
export const domainName: Kind<string> = {
  noun: 'a domain name',
  write: 'write a name such as "example.com"',
  parse(text) {
    const trimmed = text.replace(/\.$/, '').toLowerCase()
    if (LABELS.test(trimmed)) return trimmed
    const url = URL.parse(`http://${trimmed}/`)
    return url && /[^\x00-\x7f]/.test(trimmed) && LABELS.test(url.hostname) ? url.hostname : undefined
  },
}

/** A domain name, or `*.` before one: all names below it. */
export const domainPattern: Kind<string> = {
  noun: 'a pattern of names',
  write: 'write a name such as "example.com", or "*.example.com" for all below it',
  parse(written) {
    const below = written.startsWith('*.') ? written.slice(2) : written
    const name = domainName.parse(below)
    return name === undefined ? undefined : written.startsWith('*.') ? `*.${name}` : name
  },
}

export const mailbox: Kind<string> = {
  noun: 'a mailbox',
  write: 'write an address such as "postmaster@example.com"',
  parse(text) {
    const [, localPart, domain] = /^([^\s@<>"(),:;\\[\]\x00-\x1f]{1,64})@([^@]+)$/.exec(text) ?? []
    const name = domain && domainName.parse(domain)
    return localPart && name ? `${localPart}@${name}` : undefined
  },
}

/** A selector of RFC 6376 §3.1: one or more labels. */
export const selector: Kind<string> = {
  noun: 'a DKIM selector',
  write: 'write letters, digits and hyphens, such as "ptt" or "mail.2025"',
  parse: text => (LABELS.test(text.toLowerCase()) ? text.toLowerCase() : undefined),
}

export const word: Kind<string> = {
  noun: 'a name',
  write: 'write it in quotes, without spaces',
  parse: text => (/^[^\s\x00-\x1f]+$/.test(text) ? text : undefined),
}

export const path: Kind<string> = {
  noun: 'a path',
  write: 'write the path of a file in quotes',
  parse: text => (text !== '' && !text.includes('\0') ? text : undefined),
}

/** What `git clone` takes that is not a path: a URL, or `host:path` as ssh has it. */
export function isRemote(repository: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(repository) || /^[^/\s:]+@?[^/\s:]+:[^/]/.test(repository)
}
