/** A clone's commits as directories: of a later one only what differs from the one before is asked of git and parsed. */

import type { WholeDirectory } from './assemble.ts'
import type { Clone } from './clone.ts'
import { GitError } from './git.ts'
import type { Blob, Later } from './objects.ts'
import { Reader } from './read.ts'

export class CommitReader {
  readonly #clone: Clone
  readonly #reader: Reader
  #last: { readonly commit: string; readonly files: ReadonlyMap<string, Blob> } | null = null

  constructor(clone: Clone, domain: string) {
    this.#clone = clone
    this.#reader = new Reader(domain)
  }

  /** Rejects with a DirectoryError that has all problems, or a GitError. */
  async read(commit: string): Promise<WholeDirectory> {
    const { files, contents } = await this.#files(commit)
    const directory = await this.#reader.read(commit, files.values(), async oids => {
      const there = oids.map(oid => contents.get(oid))
      return there.every(octets => octets !== undefined) ? there : this.#clone.contents(oids)
    })
    this.#last = { commit, files }
    return directory
  }

  async #files(commit: string): Promise<Later> {
    if (this.#last !== null)
      try {
        return await this.#clone.filesAfter(this.#last.commit, this.#last.files, commit)
      } catch (error) {
        // A clone that was made anew need not have the commit before.
        if (!(error instanceof GitError) || error.code !== 'FAILED') throw error
      }
    return { files: await this.#clone.files(commit), contents: new Map() }
  }
}
