/** What is fuzzed: a parser, what may come of an input, and what must hold of it. */

import assert from 'node:assert/strict'
import { hash, Random } from './random.ts'

export interface Target {
  readonly name: string
  /** Words of its language, put into inputs. */
  readonly words: readonly (string | Uint8Array)[]
  /** Of an input; 4096 when not given. */
  readonly maxOctets?: number
  /** The longest text the parser may be given: some inputs are stretched to it, to see that time grows as length does. */
  readonly longestOctets?: number
  /**
   * Takes the input through the parser and checks what must hold. The answer says in short what came of it: an input with
   * an answer not seen before is mutated further.
   * @throws what is a finding: an error that is not the parser's own, or a property that does not hold
   */
  run(input: Buffer): string
  /**
   * For what reads a stream: takes chunks without end, each time it is called one more, and must not hold what grows
   * with their number.
   */
  stream?(input: Buffer): (chunk: Buffer) => void
}

/** An error that `allowed` says is the parser's own, in short; any other goes on up: it is a finding. */
export function expected(error: unknown, ...allowed: readonly (new (...args: never[]) => Error)[]): string {
  if (error instanceof Error && allowed.some(type => error instanceof type)) {
    const code = 'code' in error ? `${error.code} ` : ''
    return `${error.name} ${code}${shape(error.message)}`
  }
  throw error
}

/** A text without what differs from input to input. */
export function shape(text: string): string {
  return text
    .replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '""')
    .replace(/\d+/g, '#')
    .replace(/[^ -~]/g, '?')
    .slice(0, 60)
}

/** What came of the parser, or which of its own errors it threw. */
export function attempt<T>(
  parse: () => T,
  ...allowed: readonly (new (
    ...args: never[]
  ) => Error)[]
): { readonly value: T; readonly error: null } | { readonly value: null; readonly error: string } {
  try {
    return { value: parse(), error: null }
  } catch (error) {
    return { value: null, error: expected(error, ...allowed) }
  }
}

/** `octets` in two to six pieces, or more; the same ones for the same octets. */
export function randomCuts(octets: Buffer): Buffer[] {
  const random = new Random(hash(octets))
  const most = random.oneIn(2) ? 5 : 50
  const places = Array.from({ length: 1 + random.below(most) }, () => random.below(octets.length + 1))
  const pieces: Buffer[] = []
  let from = 0
  for (const place of [...places.sort((one, other) => one - other), octets.length]) {
    pieces.push(octets.subarray(from, place))
    from = place
  }
  return pieces
}

/** One octet each. */
export function octetByOctet(octets: Buffer): Buffer[] {
  return Array.from(octets, (_, at) => octets.subarray(at, at + 1))
}

/** Above this, cutting after every octet costs more than it finds. */
const MAX_OCTETS_APART = 8192

/**
 * However the input is cut, the same comes of it. Every piece is a Buffer of its own that is written over afterwards
 * only by the garbage collector, as pieces from a socket are.
 */
export function sameHoweverCut<T>(octets: Buffer, read: (pieces: readonly Buffer[]) => T): T {
  const whole = read([octets])
  if (octets.length <= MAX_OCTETS_APART) assert.deepEqual(read(octetByOctet(octets)), whole, 'octet by octet')
  assert.deepEqual(read(randomCuts(octets)), whole, 'cut at random')
  return whole
}

/** As `assert.deepEqual`, and quicker where they are equal as JSON, as they mostly are. */
export function same(actual: unknown, wanted: unknown, message: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(wanted)) assert.deepEqual(actual, wanted, message)
}
