/** Reverse-path and forward-path, RFC 5321 §4.1.2. */

/**
 * A mailbox. `localPart` is its value, without quotes or backslashes; `domain` is as it was written: a domain name
 * (U-labels only under SMTPUTF8) or an address literal with its brackets. `domain` is empty only for the
 * `<Postmaster>` of RFC 5321 §4.5.1, in a forward-path.
 */
export interface Mailbox {
  readonly localPart: string
  readonly domain: string
}

/** `null` is the null reverse-path `<>` (RFC 5321 §4.5.5): a bounce must never answer it. */
export type ReversePath = Mailbox | null
export type ForwardPath = Mailbox
