/** An event as a line for people: `[12:30:01.042] INFO: relay delivered id=01K… status=2.0.0`. */

import type { EventName, Fields, Level } from './event.ts'
import type { Lines } from './lines.ts'

/** Of a terminal (ECMA-48 §8.3.117). */
const COLORS: Readonly<Record<Level | 'text', number>> = {
  debug: 34,
  info: 32,
  warn: 33,
  error: 31,
  text: 36,
}

export class ReadableLines implements Lines {
  readonly #service: string
  readonly #colored: boolean
  readonly #always: Fields

  constructor(service: string, colored: boolean, always: Fields = {}) {
    this.#service = service
    this.#colored = colored
    this.#always = always
  }

  format(level: Level, name: EventName, fields: Fields): string {
    const words = Object.entries({ ...this.#always, ...fields }).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}=${shown(value)}`],
    )
    const text = [this.#service, name, ...words].join(' ')
    return `[${clock(new Date())}] ${this.#in(level, level.toUpperCase())}: ${this.#in('text', text)}\n`
  }

  with(fields: Fields): Lines {
    return new ReadableLines(this.#service, this.#colored, { ...this.#always, ...fields })
  }

  #in(color: keyof typeof COLORS, text: string): string {
    return this.#colored ? `\x1b[${COLORS[color]}m${text}\x1b[39m` : text
  }
}

/** The time of day here. */
function clock(date: Date): string {
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** A value as a word: quoted when it would not be one, so that nothing a peer said can look like another field. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
  if (/^[^\s"'=\x00-\x1f\x7f-\x9f]+$/.test(text)) return text
  // JSON leaves DEL and the C1 controls as they are; a terminal obeys some of them.
  const escaped = (control: string) => `\\u00${control.charCodeAt(0).toString(16)}`
  return JSON.stringify(text).replace(/[\x7f-\x9f]/g, escaped)
}
