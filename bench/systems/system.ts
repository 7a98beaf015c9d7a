/** What every system under test is to the bench: a door, the processes it consists of, an end. */

import type { Door } from '../load/session.ts'
import type { Processes } from './processes.ts'

/** In clear; in TLS and with a password; in clear and past what signs; ptt's relay alone, in mutual TLS. */
export type DoorName = 'plain' | 'tls' | 'unsigned' | 'relay'

export interface System {
  /** As its makers number it. */
  readonly version: string
  readonly doors: Readonly<Partial<Record<DoorName, Door>>>
  /** Everything it consists of. */
  readonly processes: Processes
  stop(): Promise<void>
}

export interface Surroundings {
  /** A folder on a real disk, of this system alone; it goes away afterwards. */
  readonly folder: string
  /** Where the mail of all destinations goes: 127.0.1.n for the n-th. */
  readonly sinkPort: number
  /** PEM, PKCS #8: RSA-2048, the same for all. */
  readonly dkimKey: string
  /** For TLS: certificate and key of `localhost` and 127.0.0.1, and who signed it. */
  readonly tls: { readonly ca: string; readonly certificate: string; readonly key: string }
  /** V8's profiles of a system in Node go there; null: none are made. */
  readonly profile: string | null
  /** Of ptt.toml. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, string | number>>>>
  readonly processes: Processes
}

/** The d= and s= of every signature. */
export const SELECTOR = 'bench'
export const USERNAME = 'alice'
export const PASSWORD = 'correct-horse-battery-staple'
