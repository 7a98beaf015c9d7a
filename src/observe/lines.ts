/** What an event looks like in the log: for programs (`json-lines`) or for people (`readable-lines`). */

import type { EventName, Fields, Level } from './event.ts'

export interface Lines {
  /** With its line feed. */
  format(level: Level, name: EventName, fields: Fields): string
  /** The same form with `fields` on every line. */
  with(fields: Fields): Lines
}
