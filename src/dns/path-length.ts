/** pathLenConstraint of a CA's certificate, RFC 5280 §4.2.1.9: `node:crypto` tells that it is a CA, and not how far. No I/O. */

/** An element of DER (X.690 §8.1). */
interface Element {
  readonly tag: number
  readonly content: Uint8Array
}

const INTEGER = 0x02
/** `[3] EXPLICIT Extensions` of TBSCertificate. */
const EXTENSIONS = 0xa3
/** id-ce-basicConstraints, 2.5.29.19. */
const BASIC_CONSTRAINTS = '551d13'

/**
 * How many CAs may stand between this one and the last certificate of a chain; null: any number.
 * @param der a certificate that OpenSSL has read
 */
export function pathLength(der: Uint8Array): number | null {
  const tbs = elements(elements(der)[0]?.content)[0]
  const extensions = elements(tbs?.content).find(({ tag }) => tag === EXTENSIONS)
  for (const { content } of elements(elements(extensions?.content)[0]?.content)) {
    const parts = elements(content)
    const [oid] = parts
    if (oid === undefined || Buffer.from(oid.content).toString('hex') !== BASIC_CONSTRAINTS) continue
    const constraints = elements(elements(parts.at(-1)?.content)[0]?.content)
    const length = constraints.find(({ tag }) => tag === INTEGER)
    // An INTEGER without octets is none: then no CA at all.
    return length === undefined ? null : Number(`0x0${Buffer.from(length.content).toString('hex')}`)
  }
  return null
}

/** One after the other; what is not DER ends it. */
function elements(octets: Uint8Array = new Uint8Array()): Element[] {
  const found: Element[] = []
  for (let at = 0; at + 2 <= octets.length; ) {
    const tag = octets[at] ?? 0
    const first = octets[at + 1] ?? 0
    const more = first < 0x80 ? 0 : first & 0x7f
    const size =
      first < 0x80
        ? first
        : Number(`0x${Buffer.from(octets.subarray(at + 2, at + 2 + more)).toString('hex')}`)
    const begin = at + 2 + more
    if (!(begin + size <= octets.length)) break
    found.push({ tag, content: octets.subarray(begin, begin + size) })
    at = begin + size
  }
  return found
}
