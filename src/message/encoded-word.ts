/** Encoded words, RFC 2047: in what people read of a notice, never in what programs read. */

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

/** As it is where it is ASCII; else one encoded word for each word that is not, with the space before it (RFC 2047 §5, §6.2). */
export function encodeWords(text: string): string {
  if (/^[ -~]*$/.test(text)) return text
  const words = text.split(' ')
  return words
    .map((word, at) => {
      if (/^[!-~]*$/.test(word)) return word
      // The space between two encoded words is not shown, so it belongs into the second.
      const before = words[at - 1]
      const space = before !== undefined && !/^[!-~]*$/.test(before) ? '_' : ''
      return `=?utf-8?q?${space}${encodeQ(word)}?=`
    })
    .join(' ')
}

// RFC 2047 §4.2, §5 (3): safe in a phrase as well.
function encodeQ(word: string): string {
  return Array.from(Buffer.from(word), octet =>
    /[A-Za-z0-9]/.test(String.fromCharCode(octet))
      ? String.fromCharCode(octet)
      : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('')
}
