/**
 * Address lists of header fields: RFC 5322 §3.4 with the obsolete forms of §4.4 that occur (phrases with periods, white
 * space around dots, empty list elements, routes), groups in From as RFC 6854 allows, and UTF-8 as in RFC 6532.
 * Encoded words (RFC 2047) stay as they are: a display name is shown to nobody here.
 */

import { SmtpError } from '../smtp/error.ts'
import type { Mailbox } from '../smtp/path.ts'
import { type Field, fieldBody, fieldsNamed } from './header.ts'

export interface Address {
  /** Without quotes; empty when there is none. */
  readonly displayName: string
  readonly mailbox: Mailbox
  /** The display name of the group it stands in. */
  readonly group?: string
}

export interface ReadOptions {
  /** The name of the field, for complaints. */
  readonly field?: string
  /**
   * Whether to read what RFC 5322 §4.4 has everybody accept and nobody write (routes, white space and comments around
   * dots, empty list elements, control characters); yes when not said. Periods in phrases are read in any case.
   */
  readonly obsolete?: boolean
  /** Whether a group may stand there; yes when not said. */
  readonly groups?: boolean
}

/** The mailboxes of an address list, those in groups among them. @throws SmtpError 554 5.6.0 when it is malformed. */
export function parseAddressList(text: string, options: ReadOptions = {}): Address[] {
  return new Parser(text, options).addressList()
}

/**
 * The author addresses: what the one From field says.
 * @throws SmtpError 554 5.6.0 when there is no From, more than one (RFC 5322 §3.6), or none that can be read.
 */
export function authorsOf(header: readonly Field[]): Address[] {
  const [from, ...more] = fieldsNamed(header, 'From')
  if (from === undefined)
    throw new SmtpError(554, '5.6.0', 'The message has no From field (RFC 5322 section 3.6)')
  if (more.length > 0) throw new SmtpError(554, '5.6.0', 'The message has more than one From field')
  const authors = parseAddressList(fieldBody(from))
  if (authors.length === 0) throw new SmtpError(554, '5.6.0', 'The From field names no mailbox')
  return authors
}

// atext (RFC 5322 §3.2.3) and UTF8-non-ascii (RFC 6532 §3.2).
const ATOM = /[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+/uy
// dtext (RFC 5322 §3.4.1).
const LITERAL = /\[[!-Z^-~\u0080-\u{10ffff} \t]*\]/uy

// dot-atom-text, RFC 5322 §3.2.3.
const DOT_ATOM = new RegExp(`${ATOM.source}(?:\\.${ATOM.source})*`, 'uy')
// obs-NO-WS-CTL, RFC 5322 §4.1, and what no field may hold.
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/

class Parser {
  readonly #text: string
  readonly #options: ReadOptions
  readonly #obsolete: boolean
  #at = 0

  constructor(text: string, options: ReadOptions) {
    this.#text = text
    this.#options = options
    this.#obsolete = options.obsolete !== false
  }

  // address-list = (address *("," address)) / obs-addr-list
  addressList(): Address[] {
    if (!this.#obsolete && CONTROL.test(this.#text)) throw this.#malformed('a control character is in it')
    const addresses: Address[] = []
    this.#skip()
    while (this.#at < this.#text.length) {
      if (!this.#sees(',')) addresses.push(...this.#address())
      else if (!this.#obsolete) throw this.#malformed(EMPTY_ELEMENT)
      this.#skip()
      if (this.#at >= this.#text.length) break
      if (!this.#take(',')) throw this.#malformed()
      this.#skip()
      if (this.#at >= this.#text.length && !this.#obsolete) throw this.#malformed(EMPTY_ELEMENT)
    }
    return addresses
  }

  // address = mailbox / group
  #address(): Address[] {
    const start = this.#at
    const name = this.#phrase()
    if (name !== '' && this.#take(':')) return this.#group(name)
    return [this.#behind(name, start)]
  }

  // group = display-name ":" [group-list] ";"
  #group(group: string): Address[] {
    if (this.#options.groups === false)
      throw this.#malformed('a group has no place here (RFC 6854 section 3)')
    const members: Address[] = []
    this.#skip()
    while (!this.#take(';')) {
      if (!this.#sees(',')) members.push({ ...this.#mailbox(), group })
      else if (!this.#obsolete) throw this.#malformed(EMPTY_ELEMENT)
      this.#skip()
      if (this.#take(';')) break
      if (!this.#take(',')) throw this.#malformed()
      this.#skip()
      if (this.#sees(';') && !this.#obsolete) throw this.#malformed(EMPTY_ELEMENT)
    }
    return members
  }

  // mailbox = name-addr / addr-spec
  #mailbox(): Address {
    const start = this.#at
    return this.#behind(this.#phrase(), start)
  }

  /** The mailbox that begins at `start`, whose phrase, if it is one, has been read. */
  #behind(displayName: string, start: number): Address {
    if (this.#take('<')) return this.#angle(displayName)
    this.#at = start
    return { displayName: '', mailbox: this.#addrSpec() }
  }

  // angle-addr, after its "<"; obs-route = obs-domain-list ":" is read and ignored.
  #angle(displayName: string): Address {
    this.#skip()
    if (this.#sees('>')) throw this.#malformed('there is no address between "<" and ">"')
    if (this.#sees('@')) {
      if (!this.#obsolete) throw this.#malformed('a source route has no place here')
      this.#route()
    }
    const mailbox = this.#addrSpec()
    this.#skip()
    if (!this.#take('>')) throw this.#malformed()
    return { displayName, mailbox }
  }

  #route(): void {
    while (this.#take('@') || this.#take(',')) {
      this.#skip()
      if (!this.#sees('@') && !this.#sees(',')) this.#domain()
      this.#skip()
    }
    if (!this.#take(':')) throw this.#malformed()
  }

  // addr-spec = local-part "@" domain
  #addrSpec(): Mailbox {
    const localPart = this.#obsolete
      ? this.#dotted(() => this.#word())
      : this.#alone(() => this.#match(DOT_ATOM) ?? this.#quotedString())
    if (!this.#take('@')) throw this.#malformed()
    return { localPart, domain: this.#domain() }
  }

  #domain(): string {
    this.#skip()
    const literal = this.#match(LITERAL)
    if (literal !== undefined) return literal.replace(/[ \t]/g, '')
    return this.#obsolete ? this.#dotted(() => this.#match(ATOM)) : this.#alone(() => this.#match(DOT_ATOM))
  }

  // dot-atom = [CFWS] dot-atom-text [CFWS]
  #alone(part: () => string | undefined): string {
    this.#skip()
    const value = part()
    if (value === undefined) throw this.#malformed()
    this.#skip()
    return value
  }

  // obs-local-part = word *("." word), obs-domain = atom *("." atom): comments and white space may stand between.
  #dotted(part: () => string | undefined): string {
    let value = ''
    for (;;) {
      value += this.#alone(part)
      if (!this.#take('.')) return value
      value += '.'
    }
  }

  // phrase = 1*word / obs-phrase, whose periods are so frequent in names that they are always read.
  #phrase(): string {
    const words: string[] = []
    for (;;) {
      this.#skip()
      const word = this.#word() ?? (this.#take('.') ? '.' : undefined)
      if (word === undefined) return words.join(' ').replaceAll(' .', '.')
      words.push(word)
    }
  }

  #word(): string | undefined {
    return this.#match(ATOM) ?? this.#quotedString()
  }

  // quoted-string = DQUOTE *([FWS] qcontent) [FWS] DQUOTE
  #quotedString(): string | undefined {
    if (!this.#take('"')) return undefined
    let value = ''
    for (;;) {
      const char = this.#text.charAt(this.#at++)
      if (char === '') throw this.#malformed('a quoted string is not closed')
      if (char === '"') return value
      value += char === '\\' ? this.#text.charAt(this.#at++) : char
    }
  }

  // [CFWS]: comments nest, and a quoted pair in them hides a parenthesis (RFC 5322 §3.2.2).
  #skip(): void {
    let depth = 0
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text.charAt(this.#at)
      if (char === '(') depth++
      else if (depth > 0 && char === ')') depth--
      else if (depth > 0 && char === '\\') this.#at++
      else if (depth === 0 && char !== ' ' && char !== '\t') return
    }
    if (depth > 0) throw this.#malformed('a comment is not closed')
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  #sees(char: string): boolean {
    return this.#text.charAt(this.#at) === char
  }

  #take(char: string): boolean {
    if (!this.#sees(char)) return false
    this.#at++
    return true
  }

  #malformed(why = 'not an address list'): SmtpError {
    const { field } = this.#options
    const here = this.#text.slice(this.#at, this.#at + 30).replace(/[^ -~]/g, '?')
    const where = here === '' ? 'at its end' : `at "${here}"`
    const what = field === undefined ? 'A header field with addresses' : `The ${field} field`
    return new SmtpError(554, '5.6.0', `${what} is malformed: ${why}, ${where}`)
  }
}

const EMPTY_ELEMENT = 'an element of the list is empty'
