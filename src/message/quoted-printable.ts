/** Quoted-printable, RFC 2045 §6.7: any octets as 7-bit lines of at most 76. */

const HEX = Array.from({ length: 256 }, (_, octet) => `=${octet.toString(16).toUpperCase().padStart(2, '0')}`)
const LINE_LIMIT = 76

/** CRLF in the octets is a line end; every other octet comes back as it was. */
export function quotedPrintable(octets: Uint8Array): string {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1')
  return text.split('\r\n').map(encodeLine).join('\r\n')
}

function encodeLine(line: string): string {
  let encoded = ''
  let length = 0
  for (let i = 0; i < line.length; i++) {
    const octet = line.charCodeAt(i)
    const last = i === line.length - 1
    // Rule 3: white space may stand, but not at the end of a line. A soft line break is "=" before CRLF.
    const literal = (octet > 32 && octet < 127 && octet !== 61) || ((octet === 32 || octet === 9) && !last)
    const piece = literal ? line.charAt(i) : (HEX[octet] ?? '')
    if (length + piece.length > (last ? LINE_LIMIT : LINE_LIMIT - 1)) {
      encoded += '=\r\n'
      length = 0
    }
    encoded += piece
    length += piece.length
  }
  return encoded
}
