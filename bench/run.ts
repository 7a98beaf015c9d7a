/** One run of one contender: what came out of it, what it cost, whether it is what it should be. */

import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import type { Flow, Load, Order } from './load/load.ts'
import { SENDER_DOMAIN } from './load/message.ts'
import type { Door } from './load/session.ts'
import { type Latency, latencyOf } from './report/statistics.ts'
import { PeakMemory } from './systems/processes.ts'
import { SELECTOR, type System } from './systems/system.ts'

export interface Measurement {
  readonly delivered: number
  readonly deliveredPerSecond: number
  readonly seconds: number
  /** Of all processes of the system, for each message that was delivered. */
  readonly cpuMsPerMessage: number
  /** The largest sum over its processes that was seen, of proportional set sizes. */
  readonly peakRssBytes: number
  readonly latencyMs: Latency
  /** What is wrong with this run, in words: nothing, or it must not be believed as it stands. */
  readonly flaws: readonly string[]
}

/** Messages that are signed have one signature of the domain's, RSA, relaxed/relaxed, that verifies with this. */
export interface Expected {
  readonly signed: boolean
  /** The TXT record of the key. */
  readonly keyRecord: string
}

export async function measure(
  load: Load,
  system: System,
  door: Door,
  order: Order,
  expected: Expected,
): Promise<Measurement> {
  const memory = new PeakMemory(system.processes)
  const before = system.processes.cpuSeconds()
  const flow = await load.run(door, order).finally(() => memory.stop())
  const cpuSeconds = system.processes.cpuSeconds() - before
  return {
    delivered: flow.delivered,
    deliveredPerSecond: flow.perSecond,
    seconds: flow.seconds,
    cpuMsPerMessage: (cpuSeconds * 1000) / Math.max(flow.delivered, 1),
    peakRssBytes: memory.octets,
    latencyMs: latencyOf(flow.latenciesMs),
    flaws: [...flawsOf(flow), ...(await flawsOfSamples(flow.samples, expected))],
  }
}

function flawsOf({ accepted, refused, delivered, again, complaints }: Flow): string[] {
  const flaws: string[] = []
  if (delivered === 0) flaws.push('nothing was delivered')
  if (delivered < accepted)
    flaws.push(`${accepted - delivered} of ${accepted} accepted were not delivered in time`)
  if (again > 0) flaws.push(`${again} were delivered twice`)
  if (refused > 0) flaws.push(`${refused} were refused`)
  if (complaints.length > 0) flaws.push(complaints.join('; '))
  return flaws
}

async function flawsOfSamples(
  samples: readonly Uint8Array[],
  { signed, keyRecord }: Expected,
): Promise<string[]> {
  const resolver = async (name: string, type: string) => {
    if (type === 'TXT' && name === `${SELECTOR}._domainkey.${SENDER_DOMAIN}`) return [[keyRecord]]
    throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
  }
  const flaws = new Set<string>()
  if (samples.length === 0) flaws.add('there was no message to verify')
  for (const sample of samples) {
    const { results } = await dkimVerify(Buffer.from(sample), { resolver })
    const ours = results.filter(({ signingDomain }) => signingDomain === SENDER_DOMAIN)
    if (!signed) {
      if (ours.length > 0) flaws.add('a message was signed')
      continue
    }
    const [signature] = ours
    if (signature?.status.result !== 'pass')
      flaws.add(`a signature does not verify: ${signature?.status.comment ?? 'there is none'}`)
    else if (signature.algo !== 'rsa-sha256' || signature.format !== 'relaxed/relaxed')
      flaws.add(`a signature is ${signature.algo}, ${signature.format}`)
  }
  return [...flaws]
}
