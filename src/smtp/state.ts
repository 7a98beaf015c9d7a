/** The states of a server session and what leads from one to the next, RFC 5321 §4.1.4: nothing else changes a state. */

import type { Verb } from './command.ts'

export type State =
  /** Greeted by us (220), not yet by the client. */
  | 'connected'
  /** After EHLO or HELO, outside a transaction. */
  | 'greeted'
  /** AUTH is under way: lines are responses. */
  | 'authenticating'
  /** STARTTLS was answered 220. */
  | 'handshake'
  /** MAIL was accepted, no RCPT yet. */
  | 'mail'
  /** At least one RCPT was accepted. */
  | 'recipients'
  /** DATA was answered 354: octets are content. */
  | 'data'
  /** After the first BDAT. */
  | 'chunking'
  | 'closed'

/** A verb whose reply is positive, or: */
export type Input =
  | Verb
  /** The AUTH exchange is over, whatever came of it. */
  | 'AUTHENTICATED'
  /** The TLS handshake succeeded. */
  | 'SECURED'
  /** The message is whole and answered, or it was refused. */
  | 'MESSAGE'
  /** 421: the connection goes. */
  | 'SHUTDOWN'

// RFC 5321 §4.1.4: these at any time.
const stay = <S extends State>(state: S) => ({ NOOP: state, HELP: state, VRFY: state, EXPN: state }) as const
const END = { QUIT: 'closed', SHUTDOWN: 'closed' } as const
// EHLO, HELO and RSET end a transaction.
const BEGIN = { EHLO: 'greeted', HELO: 'greeted' } as const
const ABORT = { ...BEGIN, RSET: 'greeted' } as const

export const TRANSITIONS = {
  connected: { ...stay('connected'), ...BEGIN, RSET: 'connected', ...END },
  greeted: {
    ...stay('greeted'),
    ...ABORT,
    MAIL: 'mail',
    // RFC 4954 §4: not in a transaction.
    AUTH: 'authenticating',
    STARTTLS: 'handshake',
    ...END,
  },
  authenticating: { AUTHENTICATED: 'greeted', SHUTDOWN: 'closed' },
  // RFC 3207 §4.2: the state after a 220 greeting.
  handshake: { SECURED: 'connected', SHUTDOWN: 'closed' },
  // A BDAT with no recipient is refused, and its transaction is over (RFC 3030 §2: "indeterminate").
  mail: { ...stay('mail'), ...ABORT, RCPT: 'recipients', MESSAGE: 'greeted', ...END },
  recipients: {
    ...stay('recipients'),
    ...ABORT,
    RCPT: 'recipients',
    DATA: 'data',
    BDAT: 'chunking',
    MESSAGE: 'greeted',
    ...END,
  },
  data: { MESSAGE: 'greeted', SHUTDOWN: 'closed' },
  // RFC 3030 §2: no DATA here.
  chunking: { ...stay('chunking'), ...ABORT, BDAT: 'chunking', MESSAGE: 'greeted', ...END },
  closed: { SHUTDOWN: 'closed' },
} as const satisfies Record<State, Partial<Record<Input, State>>>

/** The state after `input`; `null`: it has no place here (503). */
export function transition(state: State, input: Input): State | null {
  const row: Partial<Record<Input, State>> = TRANSITIONS[state]
  return row[input] ?? null
}

/** One session's state. Whoever advances it has asked first whether the input has a place there. */
export class StateMachine {
  #state: State = 'connected'

  get state(): State {
    return this.#state
  }

  /** @throws Error the input has no place here: a bug, whatever a peer sends */
  advance(input: Input): void {
    const next = transition(this.#state, input)
    if (next === null) throw new Error(`SMTP server session: ${input} in state ${this.#state}`)
    this.#state = next
  }
}
