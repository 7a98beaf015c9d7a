/** One target, mutated inputs without end. What the answer of a target calls new is kept and mutated further. */

import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { corpusOf } from './corpus.ts'
import { mutate, stretch } from './mutate.ts'
import { Random } from './random.ts'
import type { Target } from './target.ts'

/** Of inputs in memory. */
const MAX_POOL = 4000
const MAX_ANSWERS = 200_000
/** An input that takes longer has a parser that is not linear: so much for each, and so much for its length. */
const SLOW_MS = 150
const SLOW_MS_PER_KIB = 2
/** One input in so many is stretched to the longest there can be. */
const STRETCHED = 300
/** A stream is fed this much, and what is kept at the end is measured. */
const STREAM_OCTETS = 24 * 2 ** 20
const MAX_KEPT_OCTETS = 4 * 2 ** 20
const CHUNK_OCTETS = 64 * 1024

export interface Finding {
  readonly input: Buffer
  readonly error: unknown
}

export class Campaign {
  readonly target: Target
  inputs = 0
  #pool: Buffer[]
  readonly #words: readonly Buffer[]
  readonly #answers = new Set<string>()
  readonly #random: Random
  /** Told of each input before it is tried: should it hang, that is the one. */
  readonly #announce: ((input: Buffer) => void) | undefined

  /** `announce`: also measures, which a test must not: time is no matter of right and wrong. */
  constructor(target: Target, seed: number, announce?: (input: Buffer) => void) {
    this.target = target
    this.#random = new Random(seed)
    this.#words = target.words.map(word => Buffer.from(word))
    this.#pool = corpusOf(target.name).map(({ input }) => input)
    this.#announce = announce
  }

  /** Kinds of answers seen. */
  get answers(): number {
    return this.#answers.size
  }

  /** The next input; a finding where there is one. */
  step(): Finding | null {
    const { maxOctets = 4096, longestOctets } = this.target
    const random = this.#random
    const mutated = mutate(random, { words: this.#words, pool: this.#pool, maxOctets })
    const stretched = longestOctets !== undefined && random.oneIn(STRETCHED)
    const input = stretched ? stretch(mutated, longestOctets, random) : mutated
    this.inputs++
    this.#announce?.(input)
    const begin = performance.now()
    try {
      const answer = this.target.run(input)
      if (!stretched) this.#learn(input, answer)
    } catch (error) {
      return { input, error }
    }
    try {
      if (this.#announce && performance.now() - begin > SLOW_MS) checkTime(this.target, input)
      if (this.target.stream !== undefined && random.oneIn(20_000)) checkStream(this.target, input)
      return null
    } catch (error) {
      return { input, error }
    }
  }

  #learn(input: Buffer, answer: string): void {
    if (this.#answers.has(answer) || this.#answers.size >= MAX_ANSWERS) return
    this.#answers.add(answer)
    if (this.#pool.length < MAX_POOL) this.#pool.push(input)
    else this.#pool[this.#random.below(MAX_POOL)] = input
  }
}

/** CPU time of this thread, the best of five: others may be at work on the machine. @throws when that is too long */
export function checkTime(target: Target, input: Buffer): void {
  const limit = SLOW_MS + (SLOW_MS_PER_KIB * input.length) / 1024
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 5 && best > limit; i++) {
    const before = process.threadCpuUsage()
    target.run(input)
    const { user, system } = process.threadCpuUsage(before)
    best = Math.min(best, (user + system) / 1000)
  }
  assert.ok(best <= limit, `slow: ${Math.round(best)} ms for ${input.length} octets`)
}

/** The input again and again, as one stream: what it leaves in memory is bounded. */
export function checkStream(target: Target, input: Buffer): void {
  if (target.stream === undefined || input.length === 0) return
  const take = target.stream(input)
  const times = Math.ceil(CHUNK_OCTETS / input.length)
  const chunk = (): Buffer => Buffer.concat(Array(times).fill(input))
  take(chunk())
  settle()
  const before = kept()
  for (let octets = 0; octets < STREAM_OCTETS; octets += times * input.length) take(chunk())
  settle()
  const grown = kept() - before
  assert.ok(grown <= MAX_KEPT_OCTETS, `keeps ${grown} octets of a stream of ${STREAM_OCTETS}`)
}

let collect: (() => void) | undefined

/** Octets outside the heap are counted off only by the collection after the one that frees them. */
function settle(): void {
  setFlagsFromString('--expose-gc')
  collect ??= runInNewContext('gc') as () => void
  collect()
  collect()
}

function kept(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** The shortest input found, by leaving out pieces, that fails alike. */
export function minimize(target: Target, { input, error }: Finding): Buffer {
  const wanted = kindOf(error)
  let best = input
  const deadline = performance.now() + 20_000
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && performance.now() < deadline; ) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)])
      if (failure(target, shorter) === wanted) best = shorter
      else at += size
    }
  }
  return best
}

function failure(target: Target, input: Buffer): string | null {
  try {
    target.run(input)
    return null
  } catch (error) {
    return kindOf(error)
  }
}

/** By which two findings are one: what was thrown, and where. */
export function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [first = ''] = error.message.split('\n')
  const frame = /\n\s+at [^\n]*\/(?:src|targets)\/[^\n]*/.exec(error.stack ?? '')?.[0].trim() ?? ''
  return `${error.name}: ${first.replace(/\d+/g, '#').slice(0, 80)} ${frame}`
}
