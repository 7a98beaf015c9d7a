/**
 * New TLS sessions a second: submission's door against a server of nothing but the `tls` module, in turn. Each is a connection,
 * a full handshake and the greeting. The client is one thread and has more work with each than the server, so that what the
 * server's process spends for a session is told as well.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, createSecureContext } from 'node:tls'
import { median } from './report/statistics.ts'
import { Processes } from './systems/processes.ts'
import type { System } from './systems/system.ts'

export interface Handshakes {
  readonly perSecond: number
  /** Of the server, for each session. */
  readonly cpuMs: number
}

export interface HandshakeResults {
  readonly submission: Handshakes
  readonly bare: Handshakes
}

/** Clients at a time. */
const FLIGHT = 20

interface Target {
  readonly port: number
  readonly ca: string
  readonly processes: Processes
}

/** @param tls the pair of the bare server; @param folder where it is written */
export async function compareHandshakes(
  ptt: System,
  tls: { readonly ca: string; readonly certificate: string; readonly key: string },
  folder: string,
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<HandshakeResults> {
  const door = ptt.doors.tls
  if (door?.ca == null) throw new Error('submission has no door')
  const submission = { port: door.port, ca: door.ca, processes: ptt.processes }
  const bare = await startBare(tls, folder)
  try {
    const runs: { submission: Handshakes; bare: Handshakes }[] = []
    // V8 compiles, and the bare server has just been started.
    for (const target of [submission, bare]) await measure(target, 0.5)
    for (let round = 0; round < rounds; round++)
      runs.push({ submission: await measure(submission, seconds), bare: await measure(bare, seconds) })
    return { submission: medians(runs.map(run => run.submission)), bare: medians(runs.map(run => run.bare)) }
  } finally {
    await bare.stop()
  }
}

async function startBare(
  tls: { readonly ca: string; readonly certificate: string; readonly key: string },
  folder: string,
): Promise<Target & { stop(): Promise<void> }> {
  const [certificate, key] = [join(folder, 'bare.pem'), join(folder, 'bare.key')]
  writeFileSync(certificate, tls.certificate)
  writeFileSync(key, tls.key, { mode: 0o600 })
  const processes = new Processes('bare')
  const script = join(import.meta.dirname, 'systems/bare-tls.ts')
  const [program, ...args] = processes.wrap([process.execPath, script, certificate, key])
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  processes.add(child.pid ?? 0)
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    ca: tls.ca,
    processes,
    async stop() {
      const gone = once(child, 'exit')
      child.kill()
      await gone
      await processes.close()
    },
  }
}

async function measure({ port, ca, processes }: Target, seconds: number): Promise<Handshakes> {
  const secureContext = createSecureContext({ ca })
  const cpu = processes.cpuSeconds()
  const beganMs = performance.now()
  const untilMs = beganMs + seconds * 1000
  let count = 0
  const client = async () => {
    while (performance.now() < untilMs) {
      const socket = connect({ host: '127.0.0.1', port, secureContext, servername: 'localhost' })
      await once(socket, 'data')
      count++
      socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: FLIGHT }, client))
  const elapsed = (performance.now() - beganMs) / 1000
  return { perSecond: count / elapsed, cpuMs: ((processes.cpuSeconds() - cpu) * 1000) / count }
}

function medians(runs: readonly Handshakes[]): Handshakes {
  return {
    perSecond: median(runs.map(run => run.perSecond)),
    cpuMs: median(runs.map(run => run.cpuMs)),
  }
}
