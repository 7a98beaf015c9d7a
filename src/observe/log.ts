/** The log: one JSON line an event on standard output, or one readable line an event on a terminal. */

import type { EventName, Fields, Level, Log } from './event.ts'
import { JsonLines } from './json-lines.ts'
import { LineOutput } from './line-output.ts'
import type { Lines } from './lines.ts'
import { ReadableLines } from './readable-lines.ts'

export interface LogOptions {
  /** `submission`, `signer`, `relay`, `ptt`: on every line. */
  readonly service: string
  /** For people; when not given: when the destination is a terminal. */
  readonly pretty?: boolean
  /** A file descriptor or a stream; standard output when not given. */
  readonly destination?: number | Destination
  /** The least level that is written; `info` when not given. */
  readonly level?: Level
}

interface Destination {
  write(line: string): unknown
  /** What it holds. */
  flush?(): void
}

export function openLog(options: LogOptions): Log {
  const { service, destination = 1, level = 'info' } = options
  const isTerminal = destination === 1 && process.stdout.isTTY === true
  const lines =
    (options.pretty ?? isTerminal) ? new ReadableLines(service, isTerminal) : JsonLines.of(service)
  const complain = (lost: number) =>
    lines.format('error', 'alarm', { reason: `lines missing before this one: ${lost}` })
  const output = typeof destination === 'number' ? new LineOutput(destination, complain) : destination
  return new LineLog(lines, output, RANKS[level])
}

const RANKS: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

class LineLog implements Log {
  readonly #lines: Lines
  readonly #output: Destination
  readonly #leastRank: number

  constructor(lines: Lines, output: Destination, leastRank: number) {
    this.#lines = lines
    this.#output = output
    this.#leastRank = leastRank
  }

  event(name: EventName, fields: Fields = {}, level: Level = usual(name)): void {
    if (RANKS[level] < this.#leastRank) return
    this.#output.write(this.#lines.format(level, name, writable(fields)))
    // It may be the last.
    if (level === 'error') this.flush()
  }

  with(fields: Fields): Log {
    return new LineLog(this.#lines.with(writable(fields)), this.#output, this.#leastRank)
  }

  flush(): void {
    this.#output.flush?.()
  }
}

/**
 * `fields` without what `Fields` does not allow. A spread object may have more than its type says: nobody's message goes
 * to the log for that.
 */
function writable(fields: Fields): Fields {
  for (const key in fields) if (!isWritable(fields[key])) return cleaned(fields)
  return fields
}

function cleaned(fields: Fields): Fields {
  const entries = Object.entries(fields)
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
