/**
 * Message ids (design decision 3): 48 bits of time in milliseconds and 80 random bits as 26 characters of Crockford's
 * base32 (no I, L, O, U), so that the order of the strings is the order of time. An id is an atom (RFC 5322 §3.2.3): it
 * stands as it is in the ID clause of Received and in a Message-ID.
 */

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const TIME_DIGITS = 10
const RANDOM_OCTETS = 10
// Ten digits hold 50 bits, the time has 48: the first digit is 7 at most.
const ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const MAX_TIME = 2 ** 48 - 1

/** `random`: 10 octets, unpredictable: an id must not tell the next one. */
export function mintId(nowMs: number, random: Uint8Array): string {
  if (!Number.isInteger(nowMs) || nowMs < 0 || nowMs > MAX_TIME)
    throw new RangeError(`no time for an id: ${nowMs}`)
  if (random.length !== RANDOM_OCTETS)
    throw new RangeError(`an id needs 10 random octets, not ${random.length}`)
  let id = ''
  for (let rest = nowMs, digit = 0; digit < TIME_DIGITS; digit++) {
    id = DIGITS.charAt(rest % 32) + id
    rest = Math.floor(rest / 32)
  }
  let bits = 0
  let held = 0
  for (const octet of random) {
    bits = ((bits << 8) | octet) & 0xfff
    for (held += 8; held >= 5; held -= 5) id += DIGITS.charAt((bits >> (held - 5)) & 31)
  }
  return id
}

/** When the id was minted, in ms since 1970. */
export function timeOfId(id: string): number {
  if (!isId(id)) throw new RangeError(`not a message id: ${JSON.stringify(id)}`)
  let time = 0
  for (const digit of id.slice(0, TIME_DIGITS)) time = time * 32 + DIGITS.indexOf(digit)
  return time
}

export function isId(text: string): boolean {
  return ID.test(text)
}
