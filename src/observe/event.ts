/** Everything that happens is an event with a name from this list; those about a message carry its id. */

export type EventName =
  // A service's life.
  | 'started'
  | 'stopping'
  | 'stopped'
  | 'failed'
  | 'reloaded'
  // A session.
  | 'connected'
  | 'authenticated'
  | 'refused'
  | 'disconnected'
  // A message.
  | 'accepted'
  | 'limit'
  | 'signed'
  | 'queued'
  | 'expanded'
  | 'duplicate'
  | 'attempt'
  | 'verified'
  | 'delivered'
  | 'deferred'
  | 'bounced'
  | 'suppressed'
  | 'notice'
  // What services depend on.
  | 'directory'
  | 'key'
  | 'certificate'
  | 'policy'
  | 'peer'
  | 'spool'
  | 'site'
  | 'alarm'

export type Level = 'debug' | 'info' | 'warn' | 'error'

/** Values a log line may hold. Never a password, a key or message content. */
export type Fields = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly string[]>
>

export interface Log {
  /** One line. `id` is the message id where there is one. */
  event(name: EventName, fields?: Fields, level?: Level): void
  /** A log that adds `fields` to every line. */
  with(fields: Fields): Log
  /**
   * Lines may be held until the turn of the event loop is over: those of all so far are written when this returns. For whoever makes
   * known what cannot be taken back, by a reply or a note on the disk: not even a kill leaves it where the log does not tell of it.
   */
  flush(): void
}

/** `hear` is told of each line at once, with what `with` has added: for commands and tests, which write no log. */
export function logTo(
  hear: (name: EventName, fields: Fields, level: Level | undefined) => unknown,
  always: Fields = {},
): Log {
  return {
    event(name, fields, level) {
      hear(name, { ...always, ...fields }, level)
    },
    with: fields => logTo(hear, { ...always, ...fields }),
    flush: () => {},
  }
}

/** For tests and for library use: hears nothing. */
export const silent: Log = { event: () => {}, with: () => silent, flush: () => {} }
