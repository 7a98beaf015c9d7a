/** Inputs out of inputs: octets, words of the language, lines, numbers, and pieces of other inputs. */

import type { Random } from './random.ts'

export interface Material {
  readonly words: readonly Buffer[]
  readonly pool: readonly Buffer[]
  readonly maxOctets: number
}

type Mutation = (input: Buffer, random: Random, material: Material) => Buffer

/** Where parsers go wrong: ends of lines and of ranges, what is special in SMTP, RFC 5322, xtext, TOML and DNS. */
const SPECIAL = Buffer.from(
  '\r\n\0.\t "\\<>@:;,()[]=+*-/%#?\x7f\x80\x9f\xa0\xc0\xe2\xef\xf0\xff019aAzZ',
  'latin1',
)
const LINE_ENDS = ['\r\n', '\n', '\r', '\n\r', '\r\r\n', '\r\n\r\n', '\0\r\n', ''].map(end =>
  Buffer.from(end),
)
const NUMBERS = [
  '0',
  '00',
  '1',
  '-1',
  '+1',
  '9',
  '10',
  '63',
  '64',
  '255',
  '256',
  '998',
  '999',
  '1000',
  '4096',
]
  .concat(['65535', '65536', '2147483648', '4294967296', '9007199254740993', '1e9', '9'.repeat(21)])
  .map(number => Buffer.from(number))

const MUTATIONS: readonly Mutation[] = [
  // An octet.
  (input, random) => replace(input, place(input, random), 1, Buffer.of(random.below(256))),
  (input, random) => replace(input, place(input, random), 1, Buffer.of(random.pick([...SPECIAL]))),
  (input, random) => replace(input, place(input, random), 0, Buffer.of(random.pick([...SPECIAL]))),
  (input, random) => {
    const at = place(input, random)
    return replace(input, at, 1, Buffer.of((input[at] ?? 0) ^ (1 << random.below(8))))
  },
  (input, random) => replace(input, place(input, random), 1 + random.below(4), NOTHING),
  // A range.
  (input, random) => replace(input, place(input, random), length(input, random), NOTHING),
  (input, random) => replace(input, place(input, random), 0, range(input, random)),
  (input, random) => replace(input, place(input, random), length(input, random), range(input, random)),
  (input, random) => input.subarray(0, place(input, random)),
  (input, random) => input.subarray(place(input, random)),
  // Over a limit, or into what is quadratic.
  (input, random, { maxOctets }) => {
    const part = range(input, random)
    if (part.length === 0) return input
    const times = random.oneIn(8) ? maxOctets / part.length : 2 + random.below(80)
    return replace(input, place(input, random), 0, Buffer.concat(Array(Math.ceil(times)).fill(part)))
  },
  // A word.
  (input, random, { words }) =>
    words.length === 0 ? input : replace(input, place(input, random), 0, random.pick(words)),
  (input, random, { words }) => {
    if (words.length === 0) return input
    const old = words.filter(word => input.includes(word))
    const word = old.length === 0 ? random.pick(words) : random.pick(old)
    const at = input.indexOf(word)
    return replace(input, Math.max(0, at), at < 0 ? 0 : word.length, random.pick(words))
  },
  (input, random) => {
    const at = place(input, random)
    const end = Math.min(input.length, at + 1 + random.below(8))
    const part = input.toString('latin1', at, end)
    const turned = random.oneIn(2) ? part.toUpperCase() : part.toLowerCase()
    return replace(input, at, end - at, Buffer.from(turned, 'latin1'))
  },
  // A number.
  (input, random) => {
    const numbers = [...input.toString('latin1').matchAll(/\d+/g)]
    if (numbers.length === 0) return replace(input, place(input, random), 0, random.pick(NUMBERS))
    const { index, 0: digits } = random.pick(numbers)
    const near = Buffer.from(String(BigInt(digits.slice(0, 30)) + BigInt(random.below(3) - 1)))
    return replace(input, index, digits.length, random.oneIn(2) ? near : random.pick(NUMBERS))
  },
  // Lines.
  (input, random) => {
    const ends = [...input.toString('latin1').matchAll(/\r?\n/g)]
    if (ends.length === 0) return Buffer.concat([input, random.pick(LINE_ENDS)])
    const { index, 0: end } = random.pick(ends)
    return replace(input, index, end.length, random.pick(LINE_ENDS))
  },
  (input, random) => {
    const lines = linesOf(input)
    const from = random.below(lines.length)
    const kept = random.pick(lines)
    if (random.oneIn(3)) lines.splice(from, 1)
    else if (random.oneIn(2)) lines.splice(from, 0, kept)
    else lines.splice(from, 1, kept)
    return Buffer.concat(lines)
  },
  // Another input.
  (input, random, { pool }) => {
    const other = random.pick(pool)
    return Buffer.concat([input.subarray(0, place(input, random)), other.subarray(place(other, random))])
  },
  (input, random, { pool }) => replace(input, place(input, random), 0, range(random.pick(pool), random)),
  (input, random, { pool }) => {
    const lines = linesOf(input)
    lines.splice(random.below(lines.length + 1), 0, random.pick(linesOf(random.pick(pool))))
    return Buffer.concat(lines)
  },
]

/** A new input of one of the pool's. */
export function mutate(random: Random, material: Material): Buffer {
  let input = random.pick(material.pool)
  for (let times = 1 + random.below(random.oneIn(4) ? 12 : 3); times > 0; times--) {
    input = random.pick(MUTATIONS)(input, random, material).subarray(0, material.maxOctets)
  }
  return input
}

/** An input with a piece of it repeated until it is `octets` long. */
export function stretch(input: Buffer, octets: number, random: Random): Buffer {
  const at = place(input, random)
  const part = input.subarray(at, at + 1 + random.below(12))
  if (part.length === 0) return input
  const times = Math.floor((octets - input.length) / part.length)
  return replace(input, at, 0, Buffer.concat(Array(Math.max(0, times)).fill(part)))
}

const NOTHING = Buffer.alloc(0)

function replace(input: Buffer, at: number, octets: number, by: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, at), by, input.subarray(at + octets)])
}

const place = (input: Buffer, random: Random): number => random.below(input.length + 1)

/** Mostly short. */
function length(input: Buffer, random: Random): number {
  return random.below(random.oneIn(2) ? Math.min(input.length, 16) + 1 : input.length + 1)
}

function range(input: Buffer, random: Random): Buffer {
  const from = place(input, random)
  return input.subarray(from, from + length(input, random))
}

function linesOf(input: Buffer): Buffer[] {
  const lines: Buffer[] = []
  for (let from = 0; from <= input.length; ) {
    const lf = input.indexOf(10, from)
    const end = lf < 0 ? input.length : lf + 1
    lines.push(input.subarray(from, end))
    if (lf < 0) break
    from = end
  }
  return lines
}
