/**
 * What the processes of one service say to each other. One of them, the foreman, has what there is once (the clone it
 * fetches into, counts, keys); the workers have the sessions, and ask it.
 *
 * What is said in one turn of the loop goes in one write: under load a question costs a few microseconds and not a system
 * call. Both ends are of one program and one start, so what arrives is what the types say.
 */

/** By name: what is asked, and what is answered. What is only told has the answer `void`. */
export type Calls = Readonly<Record<string, (value: never) => unknown>>

type Asked<Call> = Call extends (value: infer Value) => unknown ? Value : never
type Answered<Call> = Call extends (value: never) => infer Answer ? Awaited<Answer> : never

/** `tell` has no number; an answer has no name. */
type Saying =
  | { readonly about: string; readonly value: unknown; readonly number?: number }
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly error: string }

/** The other process is gone: who ends with it answers nobody any more. */
export class ChannelError extends Error {}

/** @typeParam Theirs what can be asked of the other end; `Ours` what it can ask of us */
export class Channel<Theirs extends Calls, Ours extends Calls> {
  readonly #send: (sayings: readonly Saying[]) => void
  readonly #handlers = new Map<string, (value: unknown) => unknown>()
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  /** Said by the other end before there was anybody to hear it. */
  readonly #unheard = new Map<string, Saying[]>()
  readonly #ends: (() => void)[] = []
  #outgoing: Saying[] = []
  #number = 0
  #ended = false

  /** @param send one write to the other end, whose `receive` gets it */
  constructor(send: (sayings: readonly unknown[]) => void) {
    this.#send = send
  }

  /** @throws ChannelError when the other end is gone before it answers; Error with what it has thrown */
  ask<Name extends keyof Theirs & string>(
    about: Name,
    value: Asked<Theirs[Name]>,
  ): Promise<Answered<Theirs[Name]>> {
    const answer = Promise.withResolvers<unknown>()
    if (this.#ended) answer.reject(new ChannelError('the other process is gone'))
    else {
      this.#waiting.set(++this.#number, answer)
      this.#say({ about, value, number: this.#number })
    }
    return answer.promise as Promise<Answered<Theirs[Name]>>
  }

  /** Without an answer. Nothing happens where the other end is gone. */
  tell<Name extends keyof Theirs & string>(about: Name, value: Asked<Theirs[Name]>): void {
    if (!this.#ended) this.#say({ about, value })
  }

  /** Who answers what the other end asks about it. */
  on<Name extends keyof Ours & string>(
    about: Name,
    handler: (value: Asked<Ours[Name]>) => Answered<Ours[Name]> | Promise<Answered<Ours[Name]>>,
  ): this {
    this.#handlers.set(about, handler as (value: unknown) => unknown)
    const early = this.#unheard.get(about) ?? []
    this.#unheard.delete(about)
    for (const saying of early) this.#hear(saying)
    return this
  }

  /** What one write of the other end has brought. */
  receive(sayings: unknown): void {
    if (!Array.isArray(sayings)) return
    for (const saying of sayings as Saying[]) this.#hear(saying)
  }

  /** The other end is gone. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const answer of this.#waiting.values()) answer.reject(new ChannelError('the other process is gone'))
    this.#waiting.clear()
    for (const ended of this.#ends) ended()
  }

  /** To be called when the other end is gone. */
  onEnd(ended: () => void): void {
    this.#ends.push(ended)
  }

  #say(saying: Saying): void {
    if (this.#outgoing.push(saying) > 1) return
    setImmediate(() => {
      const sayings = this.#outgoing
      this.#outgoing = []
      if (!this.#ended) this.#send(sayings)
    })
  }

  #hear(saying: Saying): void {
    if ('about' in saying) void this.#heard(saying)
    else this.#answered(saying)
  }

  async #heard(saying: Extract<Saying, { about: string }>): Promise<void> {
    const { about, value, number } = saying
    const handler = this.#handlers.get(about)
    if (handler === undefined) {
      this.#unheard.set(about, [...(this.#unheard.get(about) ?? []), saying])
      return
    }
    try {
      const answer = await handler(value)
      if (number !== undefined) this.#say({ number, value: answer })
    } catch (error) {
      // What is only told and fails is a fault of ours: nobody else would hear of it.
      if (number === undefined) throw error
      this.#say({ number, error: error instanceof Error ? error.message : String(error) })
    }
  }

  #answered(saying: Exclude<Saying, { about: string }>): void {
    const answer = this.#waiting.get(saying.number)
    this.#waiting.delete(saying.number)
    if ('error' in saying) answer?.reject(new Error(saying.error))
    else answer?.resolve(saying.value)
  }
}
