/**
 * Domain names as text: no final dot, `.` for the root. RFC 1035 §2.3.1, §3.1. A label may hold any octet; one that is no
 * visible ASCII, and a dot or a backslash within a label, is escaped as RFC 1035 §5.1 and RFC 4343 §2.1 have it, so that two
 * names are the same text only if they are the same labels. What is not ASCII in text is its UTF-8.
 */

/** The name cannot be written on the wire. */
export class NameError extends Error {
  override readonly name = 'NameError'
}

/** RFC 1035 §2.3.4. */
export const MAX_LABEL_OCTETS = 63
export const MAX_NAME_OCTETS = 255

/** Letters, digits, hyphens and underscores stand for themselves: to take such a name apart takes 30 times as long (bench/micro/dns.ts). */
const ORDINARY = /^[\w-]{1,63}(?:\.[\w-]{1,63})*$/
/** On the wire there is an octet before the first label, and one at the end. */
const MAX_TEXT = MAX_NAME_OCTETS - 2

/**
 * Lower case in ASCII, no final dot: what names are compared and cached by (RFC 1035 §2.3.3, RFC 4343 §3).
 *
 * @throws NameError a label is empty or too long, or the whole is, or an escape is none
 */
export function canonicalName(name: string): string {
  if (name.length <= MAX_TEXT && ORDINARY.test(name)) return name.toLowerCase()
  return formatLabels(labelsOf(name).map(lowerCase))
}

/** @throws NameError one of them is not well-formed, as names off the wire are */
export function sameName(a: string, b: string): boolean {
  return a === b || canonicalName(a) === canonicalName(b)
}

/** True for the zone's own name too. @throws NameError one of them is not well-formed, as names off the wire are */
export function isInZone(name: string, zone: string): boolean {
  const child = labelsOf(name).map(lowerCase)
  const parent = labelsOf(zone).map(lowerCase)
  const above = child.length - parent.length
  return above >= 0 && parent.every((label, at) => label === child[above + at])
}

/** A dot between labels, an escape, what stands for itself, or what should have been an escape. */
const TOKEN = /\.|\\(?:(\d{3})|(\D))|[^.\\]+|\\/gs

/**
 * The labels, each octet a character up to U+00FF.
 *
 * @throws NameError a label is empty or too long, or the whole is, or an escape is none
 */
export function labelsOf(name: string): string[] {
  if (name === '.') return []
  const labels: string[] = []
  let label = ''
  let wireOctets = 1
  const end = (): void => {
    if (label === '') throw new NameError(`domain name '${name}' has an empty label`)
    if (label.length > MAX_LABEL_OCTETS)
      throw new NameError(`domain name '${name}' has a label over 63 octets`)
    wireOctets += label.length + 1
    labels.push(label)
    label = ''
  }
  for (const [token, number, octet] of Buffer.from(name).toString('latin1').matchAll(TOKEN)) {
    if (token === '.') end()
    else if (token === '\\' || Number(number) > 255)
      throw new NameError(
        `domain name '${name}' has a backslash with neither a character nor a number up to 255`,
      )
    else if (number !== undefined) label += String.fromCharCode(Number(number))
    else label += octet ?? token
  }
  if (label !== '') end()
  if (labels.length === 0) throw new NameError('a domain name is empty')
  if (wireOctets > MAX_NAME_OCTETS) throw new NameError(`domain name '${name}' is over 255 octets`)
  return labels
}

/** What is not visible, and what means something in zone files (RFC 1035 §5.1) or in a key. */
const SPECIAL = /[^!-~]|[.\\"():;@${}]/g

/** The inverse of `labelsOf`. */
export function formatLabels(labels: readonly string[]): string {
  return labels.map(label => label.replace(SPECIAL, escaped)).join('.') || '.'
}

function escaped(octet: string): string {
  return octet === '.' || octet === '\\' ? `\\${octet}` : `\\${String(octet.charCodeAt(0)).padStart(3, '0')}`
}

function lowerCase(label: string): string {
  return label.replace(/[A-Z]+/g, upper => upper.toLowerCase())
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
