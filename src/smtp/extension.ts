/**
 * What EHLO is answered: the server offers and parses from the table of extensions; the client reads the peer's offer into
 * `Extensions` and writes only what that allows.
 */

import { SmtpError } from './error.ts'
import { EXTENSIONS } from './extension-table.ts'
import type { Offer, ParameterCodec } from './offer.ts'
import type { MailParameters, Parameter, RcptParameters } from './parameter.ts'
import { parseServerLimits, type ServerLimits } from './server-limits.ts'

export { EXTENSIONS } from './extension-table.ts'
export type { Extension, Offer, Offers, ParameterCodec } from './offer.ts'

/** Of a command with every extension in use. */
export const EXTENSION_LINE_OCTETS = EXTENSIONS.reduce((sum, { lineOctets = 0 }) => sum + lineOctets, 0)

// ehlo-line = ehlo-keyword *( SP ehlo-param ), RFC 5321 §4.1.1.1.
/** The lines of an EHLO reply after the first. */
export function formatOffer(offer: Offer): string[] {
  return EXTENSIONS.flatMap(({ keyword, offer: parametersFor }) => {
    const parameters = parametersFor(offer)
    if (parameters === null) return []
    return parameters === '' ? keyword : `${keyword} ${parameters}`
  })
}

/** What a server said to EHLO: its extensions, with their parameters. Keywords in any case. */
export class Extensions {
  /** After HELO, before EHLO, after STARTTLS. */
  static readonly none = new Extensions([])
  readonly #parameters = new Map<string, string>()

  /** The lines of an EHLO reply; what is no ehlo-line is passed over, as is what we do not know. */
  constructor(lines: readonly string[]) {
    for (const line of lines) {
      // `AUTH=PLAIN LOGIN`: from before RFC 2554, still said by some beside the right form.
      const [, keyword = '', , parameters = ''] = EHLO_LINE.exec(line) ?? []
      const name = keyword.toUpperCase()
      if (name !== '' && !this.#parameters.has(name)) this.#parameters.set(name, parameters.trim())
    }
  }

  has(keyword: string): boolean {
    return this.#parameters.has(keyword.toUpperCase())
  }

  /** What follows the keyword; `undefined` when it is not offered. */
  parameters(keyword: string): string | undefined {
    return this.#parameters.get(keyword.toUpperCase())
  }

  get keywords(): string[] {
    return [...this.#parameters.keys()]
  }

  /** RFC 1870 §3: the largest message it takes; `undefined` where it sets no limit. */
  get size(): number | undefined {
    const size = Number.parseInt(this.#parameters.get('SIZE') ?? '', 10)
    return size > 0 ? size : undefined
  }

  /** RFC 9422 §3: what it takes at most. */
  get limits(): ServerLimits {
    return parseServerLimits(this.#parameters.get('LIMITS') ?? '')
  }

  /** RFC 2852 §2: the least by-time with by-mode R, in seconds; 0 where it says none. */
  get leastDeliverBy(): number {
    const [, least = '0'] = MIN_BY_TIME.exec(this.#parameters.get('DELIVERBY') ?? '') ?? []
    return Number(least)
  }

  /** RFC 4954 §3: its SASL mechanisms, in upper case. */
  get auth(): readonly string[] {
    return this.#parameters.get('AUTH')?.toUpperCase().split(/ +/).filter(Boolean) ?? []
  }
}

// deliverby-param = min-by-time *( ',' extension-token ); min-by-time = [1*9DIGIT]
const MIN_BY_TIME = /^(\d{1,9})(?:,|$)/
const EHLO_LINE = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:([ =])(.*))?$/s

/** The parameters of MAIL and RCPT that a set of extensions brings. */
export interface ParameterTable {
  readonly mail: ReadonlyMap<string, ParameterCodec<MailParameters>>
  readonly rcpt: ReadonlyMap<string, ParameterCodec<RcptParameters>>
  /** A value need not be ASCII (RFC 6531 §3.3). */
  readonly utf8: boolean
}

export function parameterTable(extensions: Pick<Extensions, 'has'>): ParameterTable {
  const used = EXTENSIONS.filter(({ keyword }) => extensions.has(keyword))
  return {
    mail: new Map(used.flatMap(({ mail = {} }) => Object.entries(mail))),
    rcpt: new Map(used.flatMap(({ rcpt = {} }) => Object.entries(rcpt))),
    utf8: extensions.has('SMTPUTF8'),
  }
}

/**
 * @throws SmtpError 555 5.5.4 for one that is not in the table (RFC 5321 §4.1.1.11)
 * @throws SmtpError 501 5.5.4 for one that says again what another said: HOLDFOR and HOLDUNTIL (RFC 4865 §4.2.9)
 */
export function readParameters<Parameters>(
  parameters: readonly Parameter[],
  table: ReadonlyMap<string, ParameterCodec<Parameters>>,
): Partial<Parameters> {
  const read: Partial<Parameters> = {}
  for (const parameter of parameters) {
    const codec = table.get(parameter.keyword)
    if (codec === undefined) throw new SmtpError(555, '5.5.4', `Unknown parameter ${parameter.keyword}`)
    const said = codec.parse(parameter)
    for (const field in said) {
      if (field in read)
        throw new SmtpError(501, '5.5.4', `${parameter.keyword} beside another parameter for the same`)
      read[field] = said[field]
    }
  }
  return read
}

/** Those that have something to say, in the order of the table. */
export function writeParameters<Parameters>(
  parameters: Partial<Parameters>,
  table: ReadonlyMap<string, ParameterCodec<Parameters>>,
  utf8 = false,
): Parameter[] {
  const written: Parameter[] = []
  for (const [keyword, codec] of table) {
    const value = codec.format(parameters, utf8)
    if (value !== undefined) written.push({ keyword, value })
  }
  return written
}
