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

/** The mailboxes of an address list, those in groups among them. @throws SmtpError 554 5.6.0 when it is malformed. */
export function parseAddressList(text: string): Address[] {
  return new Parser(text).addressList()
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

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  // address-list = (address *("," address)) / obs-addr-list
  addressList(): Address[] {
    const addresses: Address[] = []
    for (;;) {
      this.#skip()
      if (this.#at >= this.#text.length) return addresses
      if (this.#take(',')) continue
      addresses.push(...this.#address())
      this.#skip()
      if (this.#at < this.#text.length && !this.#take(',')) throw this.#malformed()
    }
  }

  // address = mailbox / group
  #address(): Address[] {
    const start = this.#at
    const name = this.#phrase()
    if (name !== '' && this.#take(':')) return this.#group(name)
    this.#at = start
    return [this.#mailbox()]
  }

  // group = display-name ":" [group-list] ";"
  #group(group: string): Address[] {
    const members: Address[] = []
    for (;;) {
      this.#skip()
      if (this.#take(';')) return members
      if (this.#take(',')) continue
      members.push({ ...this.#mailbox(), group })
      this.#skip()
      if (!this.#sees(',') && !this.#sees(';')) throw this.#malformed()
    }
  }

  // mailbox = name-addr / addr-spec
  #mailbox(): Address {
    const start = this.#at
    const displayName = this.#phrase()
    if (this.#take('<')) return this.#angle(displayName)
    this.#at = start
    return { displayName: '', mailbox: this.#addrSpec() }
  }

  // angle-addr, after its "<"; obs-route = obs-domain-list ":" is read and ignored.
  #angle(displayName: string): Address {
    this.#skip()
    if (this.#sees('@')) {
      while (this.#take('@') || this.#take(',')) {
        this.#skip()
        if (!this.#sees('@') && !this.#sees(',')) this.#domain()
        this.#skip()
      }
      if (!this.#take(':')) throw this.#malformed()
    }
    const mailbox = this.#addrSpec()
    this.#skip()
    if (!this.#take('>')) throw this.#malformed()
    return { displayName, mailbox }
  }

  // addr-spec = local-part "@" domain
  #addrSpec(): Mailbox {
    const localPart = this.#dotted(() => this.#word())
    if (!this.#take('@')) throw this.#malformed()
    return { localPart, domain: this.#domain() }
  }

  #domain(): string {
    this.#skip()
    const literal = this.#match(LITERAL)
    if (literal !== undefined) return literal.replace(/[ \t]/g, '')
    return this.#dotted(() => this.#match(ATOM))
  }

  // obs-local-part = word *("." word), obs-domain = atom *("." atom): comments and white space may stand between.
  #dotted(part: () => string | undefined): string {
    let value = ''
    for (;;) {
      this.#skip()
      const next = part()
      if (next === undefined) throw this.#malformed()
      value += next
      this.#skip()
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
    const here = this.#text.slice(this.#at, this.#at + 30).replace(/[^ -~]/g, '?')
    const where = here === '' ? 'at its end' : `at "${here}"`
    return new SmtpError(554, '5.6.0', `A header field with addresses is malformed: ${why}, ${where}`)
  }
}
