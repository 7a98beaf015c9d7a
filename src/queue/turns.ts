/**
 * Whose turn it is among the messages of one destination. A message that was cut into several jobs leaves a run behind it:
 * those of its jobs that are due at the same time. Jobs of runs and of all others go in turn, and the runs among themselves,
 * so that whoever comes after ten thousand recipients waits for a hundred. The same in every engine.
 */

export interface Run {
  readonly dueMs: number
  readonly id: string
}

/** More messages of many recipients at one destination do not take turns, and are served one after the other. */
const MAX_RUNS = 64

export class Turns {
  /** Served longest ago first. */
  #runs: readonly Run[] = []
  #lastWasRun = false

  get runs(): readonly Run[] {
    return this.#runs
  }

  has({ dueMs, id }: Run): boolean {
    return this.#runs.some(run => run.dueMs === dueMs && run.id === id)
  }

  /** `one`: the next that is of no run; `other`: the next of a run. */
  choose<T>(one: T | null, other: T | null): T | null {
    if (one === null || other === null) return one ?? other
    return this.#lastWasRun ? one : other
  }

  /** A job was taken that was not cut off a larger one. */
  tookWhole(): void {
    this.#lastWasRun = false
  }

  /** A job was taken of this run, which has more of them or not. Returns false when another run had to be given up. */
  tookPart(taken: Run, more: boolean): boolean {
    this.#lastWasRun = true
    const others = this.#runs.filter(run => run.dueMs !== taken.dueMs || run.id !== taken.id)
    const runs = more ? [...others, taken] : others
    this.#runs = runs.slice(-MAX_RUNS)
    return runs.length <= MAX_RUNS
  }
}
