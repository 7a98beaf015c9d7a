/**
 * Happy eyeballs, RFC 8305 §5: connections to several addresses are begun one after the other, a short while apart, and the
 * first that is made is taken. An address family that leads nowhere costs a quarter of a second, not half a minute.
 */

import { Wire, WireError } from './wire.ts'

export interface Target {
  /** An IP address. */
  readonly address: string
  readonly port: number
  /** Ours, of the same family; the system chooses when not given. */
  readonly localAddress?: string
}

export interface Race<T> {
  /** The first that was connected. */
  readonly winner: { readonly target: T; readonly wire: Wire } | null
  /** Those that failed before it, and why. The others were given up, or never begun. */
  readonly failures: ReadonlyMap<T, WireError>
}

export interface RaceOptions {
  /** For each target. */
  readonly timeoutMs: number
  /** RFC 8305 §8: 250 ms. */
  readonly delayMs?: number
}

const DELAY_MS = 250

/** @param targets the best first; at least one */
export function race<T extends Target>(targets: readonly T[], options: RaceOptions): Promise<Race<T>> {
  const { timeoutMs, delayMs = DELAY_MS } = options
  const failures = new Map<T, WireError>()
  const giveUp = new AbortController()
  return new Promise((resolve, reject) => {
    let begun = 0
    let over = false
    let timer: NodeJS.Timeout | undefined
    const end = (winner: Race<T>['winner']) => {
      over = true
      clearTimeout(timer)
      giveUp.abort()
      resolve({ winner, failures })
    }
    const begin = () => {
      clearTimeout(timer)
      const target = targets[begun++]
      if (target === undefined) return
      timer = setTimeout(begin, delayMs)
      const { address: host, port, localAddress } = target
      const from = localAddress === undefined ? {} : { localAddress }
      Wire.connect({ host, port, timeoutMs, signal: giveUp.signal, ...from }).then(
        wire => {
          // Two may be connected in the same turn of the loop.
          if (over) wire.destroy()
          else end({ target, wire })
        },
        (error: unknown) => {
          if (over) return
          if (!(error instanceof WireError)) {
            over = true
            clearTimeout(timer)
            giveUp.abort()
            return reject(error)
          }
          failures.set(target, error)
          if (failures.size === targets.length) end(null)
          // RFC 8305 §5: the next need not wait for one that has failed.
          else begin()
        },
      )
    }
    begin()
  })
}
