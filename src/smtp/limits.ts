/** Every limit and every time-out of the protocol, in one place. */

/** The defaults. A server takes `{ ...LIMITS, messageOctets: … }`; none may be set below what its section asks for. */
export const LIMITS = {
  /** RFC 5321 §4.5.3.1.1. */
  localPartOctets: 64,
  /** RFC 5321 §4.5.3.1.2: as it is written, with U-labels (RFC 6531 §3.3) or as an address literal. */
  domainOctets: 255,
  /** RFC 1035 §2.3.4: no more can be asked for in DNS, whatever the limit of what is written. */
  nameOctets: 255,
  /** RFC 1035 §2.3.4. */
  labelOctets: 63,
  /** RFC 5321 §4.5.3.1.3: with its punctuation. */
  pathOctets: 256,
  /** RFC 5321 §4.5.3.1.4: with its CRLF, before what extensions add to it (`Extension.lineOctets`). */
  commandLineOctets: 512,
  /** RFC 5321 §4.5.3.1.5: with its CRLF. What we send keeps to it: a longer text is several lines. */
  replyLineOctets: 512,
  /** RFC 5321 §4.5.3.1.5: with its CRLF. What we take: some servers do not keep to it. */
  replyLineOctetsRead: 4096,
  /** No section; EHLO replies have some 20 lines. */
  replyLines: 128,
  /** RFC 5321 §4.5.3.1.6: with its CRLF, without the dot doubled for transparency. */
  textLineOctets: 1000,
  /** RFC 5321 §4.5.3.1.7 asks for 64 KiB at least; announced with SIZE (RFC 1870). */
  messageOctets: 25 * 1024 * 1024,
  /** RFC 5321 §4.5.3.1.8 asks for 100 at least. */
  recipients: 1000,
  /** RFC 9422 §4.1 (MAILMAX): MAIL commands in a session; no section sets a least. */
  transactions: 100_000,
  /** RFC 9422 §4.3 (RCPTDOMAINMAX): domains of recipients in a session. */
  recipientDomains: Number.POSITIVE_INFINITY,
  /** RFC 3461 §4.4: the value of ENVID=, as written. */
  envelopeIdOctets: 100,
  /** RFC 3461 §4.2: the value of ORCPT=, as written. */
  originalRecipientOctets: 500,
  /** RFC 4954 §4: a response in an AUTH exchange, with its CRLF. */
  authLineOctets: 12288,
  /** RFC 4954 §9: at least 3 attempts before the connection goes. */
  authFailures: 3,
  /** No section (§7.8 of RFC 5321 allows it): malformed or misplaced commands since the last accepted message. */
  errors: 20,
  /** RFC 5321 §6.3: Received fields. It asks 100 of a relay; what is submitted has just begun its way (Postfix: 50). */
  hops: 50,
  /** RFC 5321 §6.3: Received fields by this very server. Lists on lists pass it a few times, a loop does not end. */
  ownHops: 5,
} as const

export type Limits = { readonly [K in keyof typeof LIMITS]: number }

/** Of an address and its parts. */
export type AddressLimits = Pick<Limits, 'localPartOctets' | 'domainOctets' | 'pathOctets'>

/** What RFC 5321 §4.5.3.1 has every implementation take: an operator may set more, and never less. */
export const LEAST = {
  localPartOctets: 64,
  domainOctets: 255,
  pathOctets: 256,
  commandLineOctets: 512,
  replyLineOctetsRead: 512,
  textLineOctets: 1000,
} as const satisfies Partial<Limits>

/**
 * The most an operator may set. A header field that names an address still fits in a line (RFC 5322 §2.1.1: 998
 * characters), and what a stranger can make us hold is bounded. Hops take as much: what submission took must pass.
 */
export const MOST = {
  localPartOctets: 256,
  domainOctets: 512,
  pathOctets: 1024,
  commandLineOctets: 16 * 1024,
  replyLineOctetsRead: 64 * 1024,
  textLineOctets: 1024 * 1024,
} as const satisfies { readonly [K in keyof typeof LEAST]: number }

const SECOND = 1000
const MINUTE = 60 * SECOND

/** RFC 5321 §4.5.3.2: the least a client waits, per command; and the server for the next one. */
export const TIMEOUTS = {
  /** RFC 5321 §4.5.3.2.1. */
  greetingMs: 5 * MINUTE,
  /** No section; as MAIL. */
  ehloMs: 5 * MINUTE,
  /** RFC 3207 gives none; as MAIL. Also the handshake after it. */
  starttlsMs: 5 * MINUTE,
  /** RFC 4954 gives none; as MAIL. */
  authMs: 5 * MINUTE,
  /** RFC 5321 §4.5.3.2.2. */
  mailMs: 5 * MINUTE,
  /** RFC 5321 §4.5.3.2.3. */
  rcptMs: 5 * MINUTE,
  /** RFC 5321 §4.5.3.2.4: for the 354. */
  dataMs: 2 * MINUTE,
  /** RFC 5321 §4.5.3.2.5: for each block of content to be taken. */
  dataBlockMs: 3 * MINUTE,
  /** RFC 5321 §4.5.3.2.6: for the reply to the final dot, or to BDAT LAST. */
  dataTerminationMs: 10 * MINUTE,
  /** No section. */
  rsetMs: 20 * SECOND,
  /** No section: the work is done. */
  quitMs: 5 * SECOND,
  /** RFC 5321 §4.5.3.2.7: a server, for the next command. */
  serverMs: 5 * MINUTE,
} as const

export type Timeouts = { readonly [K in keyof typeof TIMEOUTS]: number }
