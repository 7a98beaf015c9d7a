/** Dialogues with STARTTLS: what comes behind the handshake comes in another read from the socket. */

/** Where this stands in an input the handshake is done. */
export const HANDSHAKE = Buffer.from([0xff, 0xfe])

/** Behind each but the last is a handshake. */
export function segments(octets: Buffer): Buffer[] {
  const found: Buffer[] = []
  let from = 0
  for (let at = octets.indexOf(HANDSHAKE); at >= 0; at = octets.indexOf(HANDSHAKE, from)) {
    found.push(octets.subarray(from, at))
    from = at + HANDSHAKE.length
  }
  return [...found, octets.subarray(from)]
}
