/** The log: one JSON line an event on standard output, or one readable line an event on a terminal. */

import pino from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { EventName, Fields, Level, Log } from './event.ts'

export interface LogOptions {
  /** `submission`, `signer`, `relay`, `ptt`: on every line. */
  readonly service: string
  /** For people; when not given: when the destination is a terminal. */
  readonly pretty?: boolean
  /** A file descriptor or a stream; standard output when not given. */
  readonly destination?: number | { write(line: string): unknown }
  /** The least level that is written; `info` when not given. */
  readonly level?: Level
}

export function openLog(options: LogOptions): Log {
  const { service, destination = 1, level = 'info' } = options
  const readable = options.pretty ?? (destination === 1 && process.stdout.isTTY === true)
  // Written before `event` returns: the last line before a crash is the one that is needed. A write to a file or a
  // pipe is a few microseconds.
  const stream =
    typeof destination === 'number' ? pino.destination({ dest: destination, sync: true }) : destination
  const logger = pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      // What `Fields` allows has nothing to serialize.
      serializers: {},
    },
    readable ? people(stream, destination === 1 && process.stdout.isTTY === true) : stream,
  )
  return new PinoLog(logger)
}

class PinoLog implements Log {
  readonly #logger: pino.Logger

  constructor(logger: pino.Logger) {
    this.#logger = logger
  }

  event(name: EventName, fields?: Fields, level: Level = usual(name)): void {
    this.#logger[level]({ event: name, ...writable(fields) })
  }

  with(fields: Fields): Log {
    return new PinoLog(this.#logger.child(writable(fields)))
  }
}

/**
 * `fields` without what `Fields` does not allow. A spread object may have more than its type says: nobody's message goes
 * to the log for that.
 */
function writable(fields: Fields = {}): Fields {
  const entries = Object.entries(fields)
  if (entries.every(([, value]) => isWritable(value))) return fields
  return Object.fromEntries(entries.map(([key, value]) => [key, isWritable(value) ? value : '(left out)']))
}

function isWritable(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(item => typeof item === 'string')
  return value === null || (typeof value !== 'object' && typeof value !== 'function')
}

/** The level of an event whose teller did not say. */
function usual(name: EventName): Level {
  switch (name) {
    case 'failed':
    case 'alarm':
      return 'error'
    case 'bounced':
      return 'warn'
    case 'connected':
    case 'disconnected':
      return 'debug'
    default:
      return 'info'
  }
}

const HEAD = new Set(['level', 'time', 'service', 'event'])

/** `[12:30:01.042] INFO: relay delivered id=01K… status=2.0.0` */
function people(destination: pino.DestinationStream, colorize: boolean): pino.DestinationStream {
  const format = prettyFactory({
    colorize,
    hideObject: true,
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat(line) {
      const words = Object.entries(line).flatMap(([key, value]) =>
        HEAD.has(key) ? [] : [`${key}=${shown(value)}`],
      )
      return [line.service, line.event, ...words].join(' ')
    },
  })
  return { write: line => destination.write(format(line)) }
}

/** A value as a word: quoted when it would not be one, so that nothing a peer said can look like another field. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
  if (/^[^\s"'=\x00-\x1f\x7f-\x9f]+$/.test(text)) return text
  // JSON leaves DEL and the C1 controls as they are; a terminal obeys some of them.
  const escaped = (control: string) => `\\u00${control.charCodeAt(0).toString(16)}`
  return JSON.stringify(text).replace(/[\x7f-\x9f]/g, escaped)
}
