/** What the main thread is at while others compute signatures: by whose code, each with the functions that take most. */

import { Session } from 'node:inspector/promises'
import { type Call, readSamples } from '../profile/samples.ts'
import type { Figure } from '../smtp/report.ts'

/** Rooms with less are not told of. */
const LEAST_PERCENT = 2
const FUNCTIONS = 3

/** Of samples there are enough in a second or two. */
const SAMPLE_MICROSECONDS = 200

/** Under a load that takes a second at least. */
export async function mainThread(work: () => Promise<unknown>): Promise<Figure[]> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS })
  await session.post('Profiler.start')
  await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const { root } = readSamples(JSON.stringify(profile), { from: 0, to: Number.POSITIVE_INFINITY })
  const rooms = new Map<string, Map<string, number>>()
  count(root, rooms)
  rooms.delete('idle')
  const sums = [...rooms].map(([room, functions]) => ({ room, functions, sum: sumOf(functions) }))
  const all = sums.reduce((sum, room) => sum + room.sum, 0)
  const percent = (samples: number): number => (100 * samples) / all
  return sums
    .filter(({ sum }) => percent(sum) >= LEAST_PERCENT)
    .toSorted((one, other) => other.sum - one.sum)
    .map(({ room, functions, sum }) => {
      const most = [...functions].toSorted(([, one], [, other]) => other - one).slice(0, FUNCTIONS)
      const note = most.map(([name, samples]) => `${name} ${percent(samples).toFixed(0)}`).join(', ')
      return { name: `  of what the main thread does: ${room}`, value: percent(sum), unit: '%', note }
    })
}

function count({ name, room, self, children }: Call, rooms: Map<string, Map<string, number>>): void {
  const functions = rooms.get(room) ?? new Map<string, number>()
  rooms.set(room, functions)
  if (self > 0) functions.set(name, (functions.get(name) ?? 0) + self)
  for (const child of children) count(child, rooms)
}

function sumOf(functions: ReadonlyMap<string, number>): number {
  return [...functions.values()].reduce((sum, samples) => sum + samples, 0)
}
