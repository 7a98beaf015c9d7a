/** Free ports for servers that cannot listen on port 0 and say which they got. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** Below it are those that servers of the machine are likely to have. */
const LOWEST = 10_240
/** Ports from here on the system gives to connections, and to servers that leave it the choice (ip_local_port_range, ip(7)). */
const END = endOfRange()
/** Processes that run at the same time look in different places: their numbers are near each other, and have few ports each. */
const PORTS_OF_A_PROCESS = 61
let next = LOWEST + ((process.pid * PORTS_OF_A_PROCESS) % (END - LOWEST))

/**
 * A port of 127.0.0.1 that is free for TCP and UDP at this moment. Another process may take it before the server does, but it is
 * none that a connection could have meanwhile: a starter that then fails to listen asks for another one.
 */
export async function freePort(): Promise<number> {
  for (let attempt = LOWEST; attempt < END; attempt++) {
    const port = next
    next = port + 1 < END ? port + 1 : LOWEST
    if (await isFree(port)) return port
  }
  throw new Error('no port is free for both TCP and UDP')
}

async function isFree(port: number): Promise<boolean> {
  const tcp = createServer()
  const udp = createSocket('udp4')
  try {
    await once(tcp.listen(port, '127.0.0.1'), 'listening')
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject).bind(port, '127.0.0.1', resolve)
    })
    return true
  } catch {
    return false
  } finally {
    udp.close()
    if (tcp.listening) await once(tcp.close(), 'close')
  }
}

function endOfRange(): number {
  try {
    const [first = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split('\t')
    const begin = Number(first)
    if (begin > LOWEST + 1000) return begin
  } catch {
    // What Linux has.
  }
  return 32_768
}
