/**
 * The private halves of the keys that sign; of those that cannot be had, why. They leave this process only as a snapshot, for
 * another one of the same service.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { formatKeyRecord } from '../dkim/key-record.ts'
import type { KeyFolder } from './key-folder.ts'
import { type Key, type KeyId, nameOf } from './life-cycle.ts'

/** All of them, as another process takes them. */
export interface PrivateSnapshot {
  /** Of those that sign: name and PEM (PKCS #8). */
  readonly pems: readonly (readonly [name: string, pem: string])[]
  readonly unreadable: readonly (readonly [name: string, reason: string])[]
}

export class PrivateKeys {
  readonly #folder: Pick<KeyFolder, 'readPrivate'>
  /** By the names of the keys. */
  readonly #keys = new Map<string, KeyObject>()
  readonly #troubles = new Map<string, string>()

  constructor(folder: Pick<KeyFolder, 'readPrivate'>) {
    this.#folder = folder
  }

  get(id: KeyId): KeyObject | undefined {
    return this.#keys.get(nameOf(id))
  }

  /** Why it cannot be had, as far as is known. */
  troubleOf(id: KeyId): string | undefined {
    return this.#troubles.get(nameOf(id))
  }

  set(id: KeyId, privateKey: KeyObject): void {
    this.#keys.set(nameOf(id), privateKey)
    this.#troubles.delete(nameOf(id))
  }

  /** It is not to be had, whoever has it. */
  refuse(id: KeyId, reason: string): void {
    this.#keys.delete(nameOf(id))
    this.#troubles.set(nameOf(id), reason)
  }

  forget(id: KeyId): void {
    this.#keys.delete(nameOf(id))
    this.#troubles.delete(nameOf(id))
  }

  /** From the folder, unless it is here. @returns why it cannot be read, when that was not known before; otherwise null */
  load(key: Key): string | null {
    if (this.get(key) !== undefined) return null
    try {
      const privateKey = this.#folder.readPrivate(key)
      if (formatKeyRecord(privateKey) !== key.record)
        throw new Error(`${nameOf(key)}: its file holds another key`)
      this.set(key, privateKey)
      return null
    } catch (error) {
      const reason = (error as Error).message
      if (this.troubleOf(key) === reason) return null
      this.refuse(key, reason)
      return reason
    }
  }

  /** @param signs whether anything may be signed with the key of that name: the others stay here */
  snapshot(signs: (name: string) => boolean): PrivateSnapshot {
    const pems = [...this.#keys].flatMap(([name, key]) =>
      signs(name) ? [[name, key.export({ type: 'pkcs8', format: 'pem' }).toString()] as const] : [],
    )
    return { pems, unreadable: [...this.#troubles] }
  }

  take({ pems, unreadable }: PrivateSnapshot): void {
    this.#keys.clear()
    for (const [name, pem] of pems) this.#keys.set(name, createPrivateKey(pem))
    this.#troubles.clear()
    for (const [name, reason] of unreadable) this.#troubles.set(name, reason)
  }
}
