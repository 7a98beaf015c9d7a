/** Domain names as text: no final dot, `.` for the root. RFC 1035 §2.3.1, §3.1. */

/** The name cannot be written on the wire. */
export class NameError extends Error {
  override readonly name = 'NameError'
}

/** RFC 1035 §2.3.4. */
const MAX_LABEL_OCTETS = 63
const MAX_NAME_OCTETS = 255

/**
 * Lower case in ASCII, no final dot: what names are compared and cached by (RFC 1035 §2.3.3, RFC 4343 §3).
 *
 * @throws NameError a label is empty or too long, or the whole is
 */
export function canonicalName(name: string): string {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  if (bare === '') {
    if (name === '.') return '.'
    throw new NameError('a domain name is empty')
  }
  let wireOctets = 1
  for (const label of bare.split('.')) {
    const octets = Buffer.byteLength(label)
    if (octets === 0) throw new NameError(`domain name '${name}' has an empty label`)
    if (octets > MAX_LABEL_OCTETS) throw new NameError(`domain name '${name}' has a label over 63 octets`)
    wireOctets += octets + 1
  }
  if (wireOctets > MAX_NAME_OCTETS) throw new NameError(`domain name '${name}' is over 255 octets`)
  return bare.replace(/[A-Z]+/g, upper => upper.toLowerCase())
}

/** For names off the wire, which are well-formed. */
export function sameName(a: string, b: string): boolean {
  return a === b || fold(a) === fold(b)
}

/** True for the zone's own name too. */
export function isInZone(name: string, zone: string): boolean {
  const child = fold(name)
  const parent = fold(zone)
  return parent === '.' || child === parent || child.endsWith(`.${parent}`)
}

function fold(name: string): string {
  const bare = name.length > 1 && name.endsWith('.') ? name.slice(0, -1) : name
  return bare.replace(/[A-Z]+/g, upper => upper.toLowerCase())
}

const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/i

/**
 * A name that a host can have: letters, digits, inner hyphens (RFC 1123 §2.1), underscores because they
 * occur, and a last label that is not a number, so that an address in text is none.
 */
export function isHostName(name: string): boolean {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  return HOST_NAME.test(bare) && !/(?:^|\.)[0-9]+$/.test(bare)
}
