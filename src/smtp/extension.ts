/**
 * Service extensions, RFC 5321 §2.2: one entry a keyword, with what it adds to EHLO, MAIL and RCPT. The server offers and
 * parses from this table; the client reads the peer's offer into `Extensions` and writes only what that allows.
 */

import { SmtpError } from './error.ts'
import type { Limits } from './limits.ts'
import {
  formatAuthParameter,
  formatXptt,
  type MailParameters,
  noValue,
  type Parameter,
  parseAuthParameter,
  parseBody,
  parseSize,
  parseXptt,
  type RcptParameters,
  requiredValue,
} from './parameter.ts'

/** A server's condition at the moment of EHLO. */
export interface Offer {
  readonly limits: Limits
  readonly tls: 'implicit' | 'starttls' | 'none'
  readonly secure: boolean
  readonly auth: readonly string[]
  readonly hop: boolean
}

/** A parameter of MAIL or RCPT, there and back. */
export interface ParameterCodec<Parameters> {
  /** @throws SmtpError 501 5.5.4 */
  parse(parameter: Parameter): Partial<Parameters>
  /** The esmtp-value; `null`: the keyword alone; `undefined`: nothing to say. */
  format(parameters: Partial<Parameters>): string | null | undefined
}

type Codecs<Parameters> = Readonly<Record<string, ParameterCodec<Parameters>>>

export interface Extension {
  readonly keyword: string
  /** What follows the keyword in the EHLO reply; `null`: not offered now. */
  offer(offer: Offer): string | null
  /** How much longer a command line may be for it (RFC 5321 §4.5.3.1.4). */
  readonly lineOctets?: number
  readonly mail?: Codecs<MailParameters>
  readonly rcpt?: Codecs<RcptParameters>
}

const always = () => ''

// RFC 4954 §5; between ptt's own servers also without AUTH, under XPTT.
const AUTH_PARAMETER: ParameterCodec<MailParameters> = {
  parse: parameter => ({ authenticatedAs: parseAuthParameter(requiredValue(parameter)) }),
  format: ({ authenticatedAs }) =>
    authenticatedAs === undefined ? undefined : formatAuthParameter(authenticatedAs),
}

export const EXTENSIONS: readonly Extension[] = [
  // RFC 2920
  { keyword: 'PIPELINING', offer: always },
  // RFC 1870 §3
  {
    keyword: 'SIZE',
    offer: ({ limits }) => String(limits.messageOctets),
    lineOctets: 26,
    mail: {
      SIZE: {
        parse: parameter => ({ sizeOctets: parseSize(requiredValue(parameter)) }),
        format: ({ sizeOctets }) => (sizeOctets === undefined ? undefined : String(sizeOctets)),
      },
    },
  },
  // RFC 3207 §2
  { keyword: 'STARTTLS', offer: ({ tls, secure }) => (tls === 'starttls' && !secure ? '' : null) },
  // RFC 4954 §3
  {
    keyword: 'AUTH',
    offer: ({ auth, secure }) => (auth.length > 0 && secure ? auth.join(' ') : null),
    lineOctets: 500,
    mail: { AUTH: AUTH_PARAMETER },
  },
  // RFC 2034 §3
  { keyword: 'ENHANCEDSTATUSCODES', offer: always },
  // RFC 6152 §2
  {
    keyword: '8BITMIME',
    offer: always,
    lineOctets: 17,
    mail: {
      BODY: {
        parse: parameter => ({ body: parseBody(requiredValue(parameter)) }),
        format: ({ body }) => (body === '8BITMIME' ? body : undefined),
      },
    },
  },
  // RFC 6531 §3.1
  {
    keyword: 'SMTPUTF8',
    offer: always,
    lineOctets: 10,
    mail: {
      SMTPUTF8: {
        parse: parameter => ({ smtputf8: noValue(parameter) }),
        format: ({ smtputf8 }) => (smtputf8 === true ? null : undefined),
      },
    },
  },
  // RFC 3030 §2
  { keyword: 'CHUNKING', offer: always },
  // ptt's own hop: envelope.ts
  {
    keyword: 'XPTT',
    offer: ({ hop }) => (hop ? '' : null),
    // SP "XPTT=" id "/" commit, and AUTH= as RFC 4954 §3 counts it.
    lineOctets: 1 + 5 + 64 + 1 + 64 + 500,
    mail: {
      XPTT: {
        parse: parameter => ({ xptt: parseXptt(requiredValue(parameter)) }),
        format: ({ xptt }) => (xptt === undefined ? undefined : formatXptt(xptt)),
      },
      AUTH: AUTH_PARAMETER,
    },
  },
]

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

  /** RFC 4954 §3: its SASL mechanisms, in upper case. */
  get auth(): readonly string[] {
    return this.#parameters.get('AUTH')?.toUpperCase().split(/ +/).filter(Boolean) ?? []
  }
}

const EHLO_LINE = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:([ =])(.*))?$/s

/** The parameters of MAIL and RCPT that a set of extensions brings. */
export interface ParameterTable {
  readonly mail: ReadonlyMap<string, ParameterCodec<MailParameters>>
  readonly rcpt: ReadonlyMap<string, ParameterCodec<RcptParameters>>
}

export function parameterTable(extensions: Pick<Extensions, 'has'>): ParameterTable {
  const used = EXTENSIONS.filter(({ keyword }) => extensions.has(keyword))
  return {
    mail: new Map(used.flatMap(({ mail = {} }) => Object.entries(mail))),
    rcpt: new Map(used.flatMap(({ rcpt = {} }) => Object.entries(rcpt))),
  }
}

/** @throws SmtpError 555 5.5.4 for one that is not in the table (RFC 5321 §4.1.1.11). */
export function readParameters<Parameters>(
  parameters: readonly Parameter[],
  table: ReadonlyMap<string, ParameterCodec<Parameters>>,
): Partial<Parameters> {
  let read: Partial<Parameters> = {}
  for (const parameter of parameters) {
    const codec = table.get(parameter.keyword)
    if (codec === undefined) throw new SmtpError(555, '5.5.4', `Unknown parameter ${parameter.keyword}`)
    read = { ...read, ...codec.parse(parameter) }
  }
  return read
}

/** Those that have something to say, in the order of the table. */
export function writeParameters<Parameters>(
  parameters: Partial<Parameters>,
  table: ReadonlyMap<string, ParameterCodec<Parameters>>,
): Parameter[] {
  const written: Parameter[] = []
  for (const [keyword, codec] of table) {
    const value = codec.format(parameters)
    if (value !== undefined) written.push({ keyword, value })
  }
  return written
}
