/**
 * Since when the remote cannot be reached, in a file of the clone: a restart does not set the clock of the alarm back.
 * A disk that cannot be written costs no more than that.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'ptt-outage'

export class Outage {
  readonly #path: string
  /** The remote and branch it is about: the clone may be asked for another one after a change of ptt.toml. */
  readonly #source: string
  readonly #alarmAfterMs: number
  /** Whether there is a file; not looked yet: `null`. */
  #there: boolean | null = null

  constructor(clone: string, source: string, alarmAfterMs: number) {
    this.#path = join(clone, FILE)
    this.#source = source
    this.#alarmAfterMs = alarmAfterMs
  }

  /**
   * An attempt has failed, the first one of this process: since when they do. Where nobody has tried for as long as the
   * alarm takes, nobody knows what was meanwhile.
   */
  begun(nowMs: number): number {
    const [source, sinceMs, lastMs] = this.#read()
    const known = source === this.#source && Number(sinceMs) <= nowMs
    return known && nowMs - Number(lastMs) <= this.#alarmAfterMs ? Number(sinceMs) : nowMs
  }

  goesOn(sinceMs: number, nowMs: number): void {
    try {
      writeFileSync(this.#path, `${this.#source} ${sinceMs} ${nowMs}\n`)
      this.#there = true
    } catch {}
  }

  /** It answers. Says whether there was an outage, of an earlier process too. */
  over(): boolean {
    const was = this.#there ?? this.#read()[0] === this.#source
    if (this.#there !== false) rmSync(this.#path, { force: true })
    this.#there = false
    return was
  }

  #read(): string[] {
    try {
      return readFileSync(this.#path, 'utf8').split(/\s/)
    } catch {
      return []
    }
  }
}
