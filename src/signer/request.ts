/**
 * How `ptt key` tells the signer what to do: a file a request, put whole into `requests/` of the state folder; the signer,
 * who looks there every second and on SIGHUP, does it, and puts an answer beside it. So there is one writer of the state,
 * nothing to lock, no socket to guard, and who may write the folder may ask: nobody else. A request that is there while the
 * signer is down is done when it starts.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeWhole } from '../config/whole-file.ts'
import type { Algorithm } from '../dkim/signature.ts'

export type KeyRequest =
  /** A new key of a domain; for each algorithm of ptt.toml when none is named. */
  | {
      readonly kind: 'generate' | 'rotate'
      readonly domain: string
      readonly algorithm?: Algorithm
      readonly bits?: number
      readonly selector?: string
    }
  /** `gently`: only when nothing that it has signed is under way. */
  | {
      readonly kind: 'revoke'
      readonly domain: string
      readonly selector: string
      readonly reason: string
      readonly gently: boolean
    }
  /** Look at DNS now. */
  | { readonly kind: 'check' }

export interface KeyAnswer {
  readonly ok: boolean
  /** What was done, or why not. */
  readonly text: string
  /** Keys that were made. */
  readonly selectors: readonly string[]
}

const FOLDER = 'requests'
const REQUEST = /^([\w-]{1,64})\.json$/

/** By the signer, who owns the folder: what somebody else asks for is in it, and is taken out by the signer. */
export function openRequests(stateFolder: string): void {
  mkdirSync(join(stateFolder, FOLDER), { recursive: true, mode: 0o700 })
}

/**
 * Asks; the answer, or `null` when there is none in time: then the request stays.
 * @throws Error when no signer has ever run on this folder, or we may not write it
 */
export async function askSigner(
  stateFolder: string,
  request: KeyRequest,
  options: { readonly id: string; readonly waitMs: number; readonly pause: (ms: number) => Promise<void> },
): Promise<KeyAnswer | null> {
  const { id, waitMs, pause } = options
  write(join(stateFolder, FOLDER), `${id}.json`, request)
  const answer = join(stateFolder, FOLDER, `${id}.answer`)
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const text = readIfThere(answer)
    if (text !== null) {
      rmSync(answer, { force: true })
      return JSON.parse(text) as KeyAnswer
    }
    if (waitedMs >= waitMs) return null
    await pause(POLL_MS)
  }
}

const POLL_MS = 50

/** Where a request is, for a message about one that waits. */
export function requestPath(stateFolder: string, id: string): string {
  return join(stateFolder, FOLDER, `${id}.json`)
}

/** Those that wait, the oldest first: their names begin with a time. */
export function waitingRequests(stateFolder: string): string[] {
  return namesIn(stateFolder)
    .flatMap(name => REQUEST.exec(name)?.[1] ?? [])
    .toSorted()
}

function namesIn(stateFolder: string): string[] {
  try {
    return readdirSync(join(stateFolder, FOLDER))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** `null`: it cannot be understood. */
export function readRequest(stateFolder: string, id: string): KeyRequest | null {
  try {
    return parseRequest(readFileSync(requestPath(stateFolder, id), 'utf8'))
  } catch {
    return null
  }
}

/** `null`: it is JSON, and no request. @throws SyntaxError it is no JSON */
export function parseRequest(text: string): KeyRequest | null {
  return checkRequest(JSON.parse(text))
}

/** The answer first: a crash between the two has the request done twice, and never forgotten. */
export function answerRequest(stateFolder: string, id: string, answer: KeyAnswer): void {
  write(join(stateFolder, FOLDER), `${id}.answer`, answer)
  rmSync(requestPath(stateFolder, id), { force: true })
}

/** Nobody waits for answers so old. */
export function forgetAnswers(stateFolder: string): void {
  for (const name of namesIn(stateFolder))
    if (name.endsWith('.answer') || name.endsWith('.answer.new'))
      rmSync(join(stateFolder, FOLDER, name), { force: true })
}

function checkRequest(value: unknown): KeyRequest | null {
  if (typeof value !== 'object' || value === null) return null
  const given = value as Record<string, unknown>
  const { kind, domain, selector, algorithm, bits, reason, gently } = given
  const isText = (one: unknown): one is string => typeof one === 'string' && one !== ''
  switch (kind) {
    case 'check':
      return { kind }
    case 'revoke':
      if (!isText(domain) || !isText(selector) || !isText(reason) || typeof gently !== 'boolean') return null
      return { kind, domain, selector, reason, gently }
    case 'generate':
    case 'rotate': {
      const known = algorithm === undefined || algorithm === 'rsa-sha256' || algorithm === 'ed25519-sha256'
      if (!isText(domain) || !known) return null
      if (selector !== undefined && !isText(selector)) return null
      if (bits !== undefined && bits !== 2048 && bits !== 3072 && bits !== 4096) return null
      return {
        kind,
        domain,
        ...(algorithm === undefined ? {} : { algorithm }),
        ...(bits === undefined ? {} : { bits }),
        ...(selector === undefined ? {} : { selector }),
      }
    }
    default:
      return null
  }
}

/** Readable by all: nothing in it is secret, and the signer may be another user than who asks. */
function write(folder: string, name: string, value: object): void {
  writeWhole(join(folder, name), `${JSON.stringify(value)}\n`, 0o644)
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
