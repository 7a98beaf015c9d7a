/** What a mail client is asked to do, the same for every program: one message, implicit TLS, AUTH. */

import type { Finished } from './program.ts'

export interface Submission {
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly port: number
  readonly username: string
  readonly password: string
  /** The file that holds the CA's certificate. */
  readonly ca: string
  readonly from: string
  readonly to: readonly string[]
  /** The message with CRLF line ends. */
  readonly message: string
}

export type Client = (submission: Submission) => Promise<Finished>
