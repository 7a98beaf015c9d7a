/** What the messages of the corpus are made of: words, names, encodings, the same for the same seed. */

import type { Random } from '../fuzz/random.ts'

const WORDS =
  'the telegraph office opens at eight whoever comes earlier may read notices door which are changed on Mondays and wait rates for words parcels letters abroad of last year remain please note that counter two is closed until further notice because painter has not finished'.split(
    ' ',
  )
const NAMES = ['Joe SixPack', 'Suzie Q', 'Anna-Luise Ott', 'O. Heaviside', 'Tomáš Dvořák', '渡辺 久']
export const DOMAINS = ['example.net', 'mail.example.org', 'shopping.example.net', 'a.very.long.name.example']

export function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.pick(WORDS)).join(' ')
}

/** Lines of at most `width` characters, each with its CRLF, empty ones between paragraphs. */
export function paragraphs(random: Random, count: number, width = 72): string {
  let text = ''
  for (let i = 0; i < count; i++) {
    text += `${i === 0 ? '' : '\r\n'}${wrap(words(random, 10 + random.below(60)), width)}`
  }
  return text
}

function wrap(text: string, width: number): string {
  let wrapped = ''
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      wrapped += `${line}\r\n`
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return `${wrapped}${line}\r\n`
}

export function octets(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => random.below(256)))
}

/** RFC 2045 §6.8: lines of 76 characters. */
export function base64Lines(content: Uint8Array): string {
  const text = Buffer.from(content).toString('base64')
  return (text.match(/.{1,76}/g) ?? []).map(line => `${line}\r\n`).join('')
}

/** RFC 2045 §6.7, soft line breaks anywhere. */
export function quotedPrintable(text: string): string {
  return text
    .split('\r\n')
    .map(line => {
      const encoded = [...Buffer.from(line)]
        .map(octet =>
          octet > 126 || octet < 32 || octet === 61
            ? `=${octet.toString(16).toUpperCase().padStart(2, '0')}`
            : String.fromCharCode(octet),
        )
        .join('')
        .replace(/[ \t]$/, white => (white === ' ' ? '=20' : '=09'))
      return (encoded.match(/(?:=..|.){1,70}/g) ?? ['']).join('=\r\n')
    })
    .join('\r\n')
}

/** RFC 2047 §4. */
export function encodedWord(text: string, random: Random): string {
  return random.oneIn(2)
    ? `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`
    : `=?UTF-8?Q?${quotedPrintable(text).replaceAll(' ', '_').replaceAll('?', '=3F')}?=`
}

export function messageId(random: Random, domain = random.pick(DOMAINS)): string {
  return `<${random.next().toString(36)}.${random.next().toString(36)}@${domain}>`
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (number: number): string => String(number).padStart(2, '0')

export function date(random: Random): string {
  const when = new Date(
    Date.UTC(2025, random.below(12), 1 + random.below(28), random.below(24), random.below(60)),
  )
  const zone = random.pick(['+0000', '+0200', '-0700', '+0530', '+0000 (UTC)'])
  const day = `${DAYS[when.getUTCDay()]}, ${two(when.getUTCDate())} ${MONTHS[when.getUTCMonth()]}`
  return `${day} ${when.getUTCFullYear()} ${two(when.getUTCHours())}:${two(when.getUTCMinutes())}:07 ${zone}`
}

export function ascii(name: string, random: Random): string {
  return /^[ -~]*$/.test(name) ? (name.includes('.') ? `"${name}"` : name) : encodedWord(name, random)
}

/** A recipient, with a display name or without. */
export function recipient(random: Random): string {
  const address = `${random.pick(['suzie', 'tom', 'post+rates', 'o.heaviside', 'x'])}@${random.pick(DOMAINS)}`
  return random.oneIn(3) ? address : `${ascii(random.pick(NAMES), random)} <${address}>`
}
