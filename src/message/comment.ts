/** Comments of structured fields, RFC 5322 §3.2.2. */

/**
 * The text with a space for each comment; quoted strings (§3.2.4) keep what looks like one. `null` when a comment or a
 * quoted string is not closed.
 */
export function withoutComments(text: string): string | null {
  // As most fields are.
  if (!/[("]/.test(text)) return text
  let bare = ''
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '\\' && (quoted || depth > 0)) {
      if (depth === 0) bare += text.slice(at, at + 2)
      at++
      continue
    }
    if (quoted) quoted = char !== '"'
    else if (char === '(') {
      if (depth++ === 0) bare += ' '
      continue
    } else if (char === ')' && depth > 0) {
      depth--
      continue
    } else if (char === '"' && depth === 0) quoted = true
    if (depth === 0) bare += char
  }
  return depth > 0 || quoted ? null : bare
}
