/** IP addresses as numbers: comparing, prefixes, and the names they have in the DNS (RFC 1035 §3.5, RFC 3596 §2.5). */

export interface IpAddress {
  readonly family: 4 | 6
  readonly value: bigint
}

/** `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1` (RFC 4291 §2.2); `null`: no address. Zones (`%eth0`) are none. */
export function parseAddress(text: string): IpAddress | null {
  const value = text.includes(':') ? parse6(text) : parse4(text)
  return value === null ? null : { family: text.includes(':') ? 6 : 4, value }
}

function parse4(text: string): bigint | null {
  const octets = text.split('.')
  // A leading zero is octal to some readers (RFC 6943 §3.1.1).
  if (
    octets.length !== 4 ||
    !octets.every(octet => /^(?:0|[1-9]\d{0,2})$/.test(octet) && Number(octet) < 256)
  )
    return null
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n)
}

function parse6(text: string): bigint | null {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return null
  const before = groups(head, tail === undefined)
  const after = tail === undefined ? [] : groups(tail, true)
  if (before === null || after === null) return null
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return null
  return [...before, ...Array.from({ length: missing }, () => 0), ...after].reduce(
    (value, group) => (value << 16n) | BigInt(group),
    0n,
  )
}

/** The last two groups may be written as an IPv4 address, where this is the end of the whole. */
function groups(text: string, atEnd: boolean): number[] | null {
  if (text === '') return []
  const found: number[] = []
  const parts = text.split(':')
  for (const [at, part] of parts.entries()) {
    const embedded = atEnd && at === parts.length - 1 && part.includes('.') ? parse4(part) : null
    if (embedded !== null) found.push(Number(embedded >> 16n), Number(embedded & 0xffffn))
    else if (/^[0-9a-f]{1,4}$/i.test(part)) found.push(Number.parseInt(part, 16))
    else return null
  }
  return found
}

export function sameAddress(a: string, b: string): boolean {
  const one = parseAddress(a)
  const other = parseAddress(b)
  return one !== null && other !== null && one.family === other.family && one.value === other.value
}

/** Whether the first `bits` bits of both are the same; never where the families differ. */
export function inPrefix(address: IpAddress, prefix: IpAddress, bits: number): boolean {
  if (address.family !== prefix.family) return false
  const ignored = BigInt((address.family === 4 ? 32 : 128) - bits)
  return address.value >> ignored === prefix.value >> ignored
}

/** Four octets, or 32 nibbles, the first one first. */
export function digits({ family, value }: IpAddress): string[] {
  const [count, bits] = family === 4 ? [4, 8n] : [32, 4n]
  const mask = (1n << bits) - 1n
  return Array.from({ length: count }, (_, at) =>
    ((value >> (bits * BigInt(count - 1 - at))) & mask).toString(family === 4 ? 10 : 16),
  )
}

/** `1.2.0.192.in-addr.arpa`: where the PTR record of an address is. */
export function reverseName(address: IpAddress): string {
  return `${digits(address).reverse().join('.')}.${address.family === 4 ? 'in-addr' : 'ip6'}.arpa`
}
