/** tag=value lists, RFC 6376 §3.2: the syntax of signatures and of key records. */

export type TagList = ReadonlyMap<string, string>

// tag-name = ALPHA *ALNUMPUNC. Tags are case-sensitive; unrecognised ones are ignored by who reads the list.
const TAG_NAME = /^[A-Za-z]\w*$/
// tval = 1*VALCHAR *( (WSP / FWS) 1*VALCHAR ), VALCHAR = %x21-3A / %x3C-7E; UTF-8 in addition (RFC 8616 §4).
const TAG_VALUE = /^[!-:<-~\u0080-\u{10ffff} \t\r\n]*$/u

/** `null` when it is not a tag-list: a tag twice makes it invalid as a whole. */
export function parseTagList(text: string): TagList | null {
  const tags = new Map<string, string>()
  const specs = text.split(';')
  // tag-list = tag-spec *( ";" tag-spec ) [ ";" ]
  if (specs.length > 1 && trim(specs.at(-1) ?? '') === '') specs.pop()
  for (const spec of specs) {
    const equals = spec.indexOf('=')
    if (equals < 0) return null
    const name = trim(spec.slice(0, equals))
    const value = trim(spec.slice(equals + 1))
    if (!TAG_NAME.test(name) || !TAG_VALUE.test(value) || tags.has(name)) return null
    tags.set(name, value)
  }
  return tags
}

export function formatTagList(tags: Iterable<readonly [name: string, value: string]>): string {
  return Array.from(tags, ([name, value]) => `${name}=${value}`).join('; ')
}

// FWS, not what String.trim takes for white space; and not `/[ \t\r\n]+$/`, which is quadratic in a run of it.
function trim(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && FWS.includes(text.charAt(start))) start++
  while (end > start && FWS.includes(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

const FWS = ' \t\r\n'
