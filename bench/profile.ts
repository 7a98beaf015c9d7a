/**
 * `npm run profile -- submission|signer|relay`: where the time of a service goes while mail goes through all three, by V8's
 * sampling profiler in the real process. Writes a flame graph, and says in short what is in it.
 *
 *   --seconds 8        how long it is watched, after the warm-up
 *   --size 4096        octets of a message
 *   --sessions 20      of the generator
 *   --destinations 1   each message goes to the next of so many domains
 *   --output FILE      the graph; <service>.html of the folder for temporary files unless it is said
 *   --keep FILE        V8's profile itself, for the tools of a browser
 */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort } from '../test/peers/port.ts'
import { type Flow, Load, type Order } from './load/load.ts'
import { flameGraph } from './profile/flame-graph.ts'
import { monotonicMicroseconds, readSamples, type Spell } from './profile/samples.ts'
import { formatSummary } from './profile/summary.ts'
import { startSystems } from './systems/start.ts'

const SERVICES: readonly string[] = ['submission', 'signer', 'relay']
/** V8 compiles what is used much: that is not what is looked for. */
const WARM_UP_SECONDS = 4

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '8' },
    size: { type: 'string', default: '4096' },
    sessions: { type: 'string', default: '20' },
    destinations: { type: 'string', default: '1' },
    output: { type: 'string' },
    keep: { type: 'string' },
  },
})
const [service = ''] = positionals
if (positionals.length !== 1 || !SERVICES.includes(service)) {
  console.error(`npm run profile -- SERVICE: write one of ${SERVICES.join(', ')}`)
  process.exit(2)
}
const order: Order = {
  seconds: positive('seconds'),
  sizeOctets: positive('size'),
  sessions: positive('sessions'),
  destinations: positive('destinations'),
  rate: null,
}
const folder = mkdtempSync(join(tmpdir(), 'ptt-profile-'))
try {
  const { flow, spell } = await underLoad()
  const profile = join(folder, `${service}.cpuprofile`)
  const samples = readSamples(readFileSync(profile, 'utf8'), spell)
  const output = resolve(values.output ?? join(tmpdir(), `${service}.html`))
  const [size, rate] = [
    order.sizeOctets.toLocaleString('en'),
    Math.round(flow.perSecond).toLocaleString('en'),
  ]
  const what = `${size} octets a message, ${order.sessions} sessions, ${rate} delivered a second while it was watched`
  const title = `ptt ${service}: CPU profile`
  const subtitle = `${what}; ${samples.count} samples in ${samples.seconds.toFixed(1)} s; Node ${process.version}`
  writeFileSync(output, flameGraph(samples, { title, subtitle }))
  if (values.keep !== undefined) copyFileSync(profile, values.keep)
  console.log(`${title}\n${what}\n${formatSummary(samples)}\n\nflame graph: ${output}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** The profiles are written when the services end. */
async function underLoad(): Promise<{ flow: Flow; spell: Spell }> {
  const sinkPort = await freePort()
  const load = await Load.start(sinkPort)
  try {
    const systems = await startSystems({ names: ['ptt'], sinkPort, folder: null, profile: folder })
    try {
      const door = systems.running.get('ptt')?.doors.tls
      if (door === undefined) throw new Error('ptt has no door for the generator')
      await load.run(door, { ...order, seconds: WARM_UP_SECONDS })
      const from = monotonicMicroseconds()
      const flow = await load.run(door, order)
      for (const complaint of flow.complaints) console.error(complaint)
      return { flow, spell: { from, to: monotonicMicroseconds() } }
    } finally {
      await systems.stop()
    }
  } finally {
    await load.stop()
  }
}

function positive(option: 'seconds' | 'size' | 'sessions' | 'destinations'): number {
  const value = Number(values[option])
  if (value > 0) return value
  console.error(`--${option} ${values[option]}: write a number above 0`)
  process.exit(2)
}
