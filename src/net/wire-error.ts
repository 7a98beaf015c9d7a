/** What goes wrong with a socket, as one type of error: for who waits for something of it. */

import type { Socket } from 'node:net'
import { reasonOf } from './reason.ts'

export type WireErrorCode = 'connect' | 'timeout' | 'closed' | 'tls'

export class WireError extends Error {
  readonly code: WireErrorCode
  constructor(code: WireErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** Waits for `event`, or throws what happened instead and destroys the socket. */
export function settled(
  socket: Socket,
  event: 'connect' | 'secureConnect' | 'drain',
  timeoutMs: number,
  what: 'connect' | 'tls' | 'write',
  signal?: AbortSignal,
): Promise<void> {
  const code: WireErrorCode = what === 'write' ? 'closed' : what
  return new Promise((resolve, reject) => {
    const done = (error?: WireError) => {
      clearTimeout(timer)
      socket.off(event, onEvent).off('error', onError).off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) return resolve()
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onEvent = () => done()
    const onError = (error: Error) => done(new WireError(code, reasonOf(error), error))
    const onClose = () => done(new WireError(code, 'closed by the peer'))
    const onAbort = () => done(new WireError(code, 'given up'))
    const timer = setTimeout(
      () => done(new WireError('timeout', `${what}: nothing in ${timeoutMs} ms`)),
      timeoutMs,
    )
    socket.on(event, onEvent).on('error', onError).on('close', onClose)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
    else if (socket.destroyed) onClose()
  })
}
