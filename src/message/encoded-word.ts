/** Encoded words, RFC 2047, decoded for people to read: in the text of a notice, never in what programs read. */

// encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?=" (RFC 2047 §2, RFC 2231 §5)
const ENCODED_WORD = /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/gi

/** What cannot be decoded stays as it is. */
export function decodeEncodedWords(text: string): string {
  // White space between encoded words is not shown (RFC 2047 §6.2).
  const joined = text.replace(/(=\?[^?\s]+\?[bq]\?[^?\s]*\?=)[ \t]+(?==\?[^?\s]+\?[bq]\?[^?\s]*\?=)/gi, '$1')
  return joined.replace(ENCODED_WORD, (word, charset: string, encoding: string, encoded: string) => {
    try {
      return new TextDecoder(charset, { fatal: true }).decode(
        encoding.toLowerCase() === 'b' ? Buffer.from(encoded, 'base64') : decodeQ(encoded),
      )
    } catch {
      return word
    }
  })
}

// RFC 2047 §4.2
function decodeQ(encoded: string): Uint8Array {
  const text = encoded
    .replaceAll('_', ' ')
    .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(text, 'latin1')
}
