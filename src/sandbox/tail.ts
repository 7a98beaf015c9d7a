/** Follows a file that another process appends to: each new line, once, in order. */

import { closeSync, fstatSync, openSync, readSync, watch } from 'node:fs'

export class Tail {
  readonly #file: number
  readonly #watcher: { close(): void }
  readonly #onLine: (line: string) => void
  #offset: number
  #rest: Buffer = Buffer.alloc(0)

  /** The file must be there; what is in it already is passed over. */
  constructor(path: string, onLine: (line: string) => void) {
    this.#file = openSync(path, 'r')
    this.#offset = fstatSync(this.#file).size
    this.#onLine = onLine
    this.#watcher = watch(path, () => this.read())
  }

  /** What has come since the last time. */
  read(): void {
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 * 1024)
      const length = readSync(this.#file, chunk, 0, chunk.length, this.#offset)
      if (length === 0) return
      this.#offset += length
      this.#rest = Buffer.concat([this.#rest, chunk.subarray(0, length)])
      for (let end = this.#rest.indexOf(10); end >= 0; end = this.#rest.indexOf(10)) {
        const line = this.#rest.toString('utf8', 0, end)
        this.#rest = this.#rest.subarray(end + 1)
        this.#onLine(line)
      }
    }
  }

  /** Reads what is left first. */
  close(): void {
    this.#watcher.close()
    this.read()
    closeSync(this.#file)
  }
}
